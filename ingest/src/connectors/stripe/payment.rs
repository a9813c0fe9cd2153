//! Charges, refunds and disputes as payments.

use atalaya_model::Kind;
use serde_json::Value;

use super::json::{currency, elements, instant, minor, number, text, written};
use crate::{connectors::Record, receivers::Fault};

/// A charge that succeeded, and the refunds that came with it.
pub(super) fn charge(charge: &Value, version: i64) -> Result<Vec<Record>, Fault> {
    let is = |name: &str| charge.get(name).and_then(Value::as_bool) == Some(true);
    if !is("paid") || !is("captured") {
        return Ok(Vec::new());
    }
    // A charge without a customer belongs to nobody whose revenue we tell.
    let Some(customer) = text(charge, &["customer"]) else {
        return Ok(Vec::new());
    };
    let amount = number(charge, &["amount_captured"]).or_else(|| number(charge, &["amount"]));
    let mut records = vec![payment(charge, customer, "payment", amount, version)?];
    if let Some(invoice) = text(charge, &["invoice"]) {
        records[0].set("invoice_id", invoice);
    }
    for refund in elements(charge, "refunds") {
        records.extend(refund_of(refund, customer, version)?);
    }
    Ok(records)
}

/// A refund. Newer versions of the interface do not tell its customer: then its charge, which does, brings it.
pub(super) fn refund(refund: &Value, version: i64) -> Result<Vec<Record>, Fault> {
    match text(refund, &["charge", "customer"]).or_else(|| text(refund, &["customer"])) {
        Some(customer) => refund_of(refund, customer, version),
        None => Ok(Vec::new()),
    }
}

fn refund_of(refund: &Value, customer: &str, version: i64) -> Result<Vec<Record>, Fault> {
    if matches!(text(refund, &["status"]), Some("failed" | "canceled")) {
        return Ok(Vec::new());
    }
    let amount = number(refund, &["amount"]).map(|amount| -amount);
    Ok(vec![payment(refund, customer, "refund", amount, version)?])
}

/// A dispute that took the money back.
pub(super) fn dispute(dispute: &Value, version: i64) -> Result<Vec<Record>, Fault> {
    let Some(customer) = text(dispute, &["charge", "customer"]).or_else(|| text(dispute, &["customer"])) else {
        return Ok(Vec::new());
    };
    let transactions = elements(dispute, "balance_transactions");
    // What Stripe moved because of it, in the currency of the account: nothing while it is only asked about, and zero
    // again when it was won.
    let moved: i64 = transactions.iter().filter_map(|moved| number(moved, &["amount"])).sum();
    let amount = number(dispute, &["amount"]).map(|amount| if moved < 0 { -amount } else { 0 });
    if transactions.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![payment(dispute, customer, "dispute", amount, version)?])
}

fn payment(
    object: &Value,
    customer: &str,
    payment_type: &str,
    amount: Option<i64>,
    version: i64,
) -> Result<Record, Fault> {
    let id = text(object, &["id"]).ok_or_else(|| Fault::of("id", "is missing"))?;
    let paid_at = instant(object, &["created"]).ok_or_else(|| Fault::of("created", "is missing"))?;
    let amount = amount.ok_or_else(|| Fault::of("amount", "is missing"))?;
    let currency = currency(object)?;
    let mut record = Record::new(Kind::Payments);
    record.set("record_version", version.to_string());
    record.set("customer_id", customer);
    record.set("payment_id", id);
    record.set("payment_type", payment_type);
    record.set("amount_minor", minor("amount", amount, currency)?.to_string());
    record.set("currency", currency.code());
    record.set("paid_at", written(paid_at));
    Ok(record)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn money_in_and_money_back() {
        let paid = json!({
            "id": "ch_1", "customer": "cus_1", "paid": true, "captured": true, "amount": 5000, "currency": "eur",
            "created": 1_772_000_000, "invoice": "in_1", "amount_refunded": 2000,
            "refunds": {"data": [
                {"id": "re_1", "amount": 2000, "currency": "eur", "created": 1_772_000_500, "status": "succeeded"},
                {"id": "re_2", "amount": 100, "currency": "eur", "created": 1_772_000_600, "status": "failed"}
            ]}
        });
        let told = |records: Vec<Record>| -> Vec<String> {
            let part = |record: &Record, name: &str| record.get(name).unwrap_or("-").to_owned();
            let line = |record: &Record| {
                [
                    "payment_id",
                    "payment_type",
                    "amount_minor",
                    "customer_id",
                    "invoice_id",
                ]
                .map(|name| part(record, name))
                .join(" ")
            };
            records.iter().map(line).collect()
        };
        assert_eq!(
            told(charge(&paid, 1).unwrap()),
            ["ch_1 payment 5000 cus_1 in_1", "re_1 refund -2000 cus_1 -"]
        );
        let mut failed = paid.clone();
        failed["paid"] = json!(false);
        assert!(charge(&failed, 1).unwrap().is_empty());
        let listed = json!({"id": "re_1", "amount": 2000, "currency": "eur", "created": 1, "charge": {"id": "ch_1", "customer": "cus_1"}});
        assert_eq!(told(refund(&listed, 1).unwrap()), ["re_1 refund -2000 cus_1 -"]);
        let lost = |moved: Value| {
            json!({"id": "dp_1", "currency": "usd", "amount": 5500, "created": 1,
                "charge": {"id": "ch_1", "customer": "cus_1"}, "balance_transactions": moved})
        };
        let amounts = |moved: Value| told(dispute(&lost(moved), 1).unwrap());
        // The account is kept in euros.
        assert_eq!(amounts(json!([{"amount": -5000}])), ["dp_1 dispute -5500 cus_1 -"]);
        assert_eq!(
            amounts(json!([{"amount": -5000}, {"amount": 5000}])),
            ["dp_1 dispute 0 cus_1 -"]
        );
        assert!(amounts(json!([])).is_empty());
    }
}
