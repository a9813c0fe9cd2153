//! Invoices as lines: what was charged, and what was taken back by voiding or writing off.

use atalaya_model::{Currency, Kind, calendar};
use chrono_tz::Tz;
use serde_json::Value;

use super::json::{currency, elements, instant, minor, number, text, written};
use crate::{connectors::Record, receivers::Fault};

/// The lines of an invoice. A draft has none: it may still change.
pub(super) fn records(invoice: &Value, version: i64, zone: Tz) -> Result<Vec<Record>, Fault> {
    let paid = invoice.get("paid").and_then(Value::as_bool) == Some(true);
    // Before 2018 invoices had no status.
    let status = text(invoice, &["status"]).unwrap_or(if paid { "paid" } else { "draft" });
    let taken_back = match status {
        "open" | "paid" => None,
        "void" => Some("void"),
        "uncollectible" => Some("bad_debt"),
        _ => return Ok(Vec::new()),
    };
    let need = |name: &str| text(invoice, &[name]).ok_or_else(|| Fault::of(name, "is missing"));
    let (id, customer) = (need("id")?, need("customer")?);
    let issued_at = instant(invoice, &["status_transitions", "finalized_at"])
        .or_else(|| instant(invoice, &["created"]))
        .ok_or_else(|| Fault::of("created", "is missing"))?;
    let taken_back_at = ["voided_at", "marked_uncollectible_at"]
        .iter()
        .find_map(|name| instant(invoice, &["status_transitions", name]))
        .unwrap_or(issued_at);
    let currency = currency(invoice)?;
    let mut records = Vec::new();
    for line in elements(invoice, "lines") {
        let (mut record, line_id, net) = of_line(line, currency)?;
        record.set("record_version", version.to_string());
        record.set("customer_id", customer);
        record.set("invoice_id", id);
        record.set("issued_at", written(issued_at));
        let subscription = text(line, &["subscription"])
            .or_else(|| text(line, &["parent", "subscription_item_details", "subscription"]));
        let price = ["price", "plan"]
            .iter()
            .find_map(|name| line.get(name).filter(|price| price.is_object()));
        for (column, value) in [
            ("subscription_id", subscription),
            (
                "product",
                price
                    .and_then(|price| text(price, &["product"]))
                    .or_else(|| text(line, &["pricing", "price_details", "product"])),
            ),
            (
                "plan",
                price.and_then(|price| text(price, &["nickname"]).or_else(|| text(price, &["id"]))),
            ),
        ] {
            if let Some(value) = value {
                record.set(column, value);
            }
        }
        let (from, to) = (instant(line, &["period", "start"]), instant(line, &["period", "end"]));
        if let (Some(from), Some(to)) = (from, to)
            && calendar::day_of(zone, from) < calendar::day_of(zone, to)
        {
            record.set("service_from_on", calendar::day_of(zone, from).to_string());
            record.set("service_to_on", calendar::day_of(zone, to).to_string());
        }
        if let Some(line_type) = taken_back {
            let mut back = record.clone();
            back.set("line_id", format!("{line_id}|{line_type}"));
            back.set("line_type", line_type);
            back.set("amount_minor", (-net).to_string());
            back.set("issued_at", written(taken_back_at));
            // What a line gave back is charged again: only charges may be above zero.
            if net < 0 {
                back.set("line_type", "charge");
            }
            records.push(back);
        }
        // Written off once, and then paid or voided all the same.
        let was_written_off = instant(invoice, &["status_transitions", "marked_uncollectible_at"]).is_some();
        if was_written_off && taken_back != Some("bad_debt") {
            let mut undone = record.clone();
            undone.set("line_id", format!("{line_id}|bad_debt"));
            undone.set("operation", "delete");
            records.push(undone);
        }
        records.push(record);
    }
    Ok(records)
}

/// The lines of a credit note: what is earned or owed less than the invoice says.
pub(super) fn credit_note(note: &Value, version: i64) -> Result<Vec<Record>, Fault> {
    let need = |name: &str| text(note, &[name]).ok_or_else(|| Fault::of(name, "is missing"));
    let (id, customer, invoice) = (need("id")?, need("customer")?, need("invoice")?);
    let issued_at = instant(note, &["created"]).ok_or_else(|| Fault::of("created", "is missing"))?;
    let currency = currency(note)?;
    let mut records = Vec::new();
    for line in elements(note, "lines") {
        let (mut record, line_id, net) = of_line(line, currency)?;
        record.set("record_version", version.to_string());
        record.set("customer_id", customer);
        record.set("invoice_id", invoice);
        record.set("line_id", format!("{id}|{line_id}"));
        record.set("line_type", "credit_note");
        record.set("amount_minor", (-net).to_string());
        record.set("issued_at", written(issued_at));
        if text(note, &["status"]) == Some("void") {
            record.set("operation", "delete");
        }
        records.push(record);
    }
    Ok(records)
}

/// A line's own part of its record, its id, and what it is without discounts and tax inside.
fn of_line(line: &Value, currency: Currency) -> Result<(Record, &str, i64), Fault> {
    let line_id = text(line, &["id"]).ok_or_else(|| Fault::of("lines.id", "is missing"))?;
    let amount = number(line, &["amount"]).ok_or_else(|| Fault::of("lines.amount", "is missing"))?;
    let net = minor("lines.amount", amount - discounts_and_inclusive_tax(line), currency)?;
    let mut record = Record::new(Kind::InvoiceLines);
    record.set("line_id", line_id);
    record.set("amount_minor", net.to_string());
    record.set("currency", currency.code());
    Ok((record, line_id, net))
}

/// What of a line's amount is no revenue.
fn discounts_and_inclusive_tax(line: &Value) -> i64 {
    let off: i64 = elements(line, "discount_amounts")
        .iter()
        .filter_map(|off| number(off, &["amount"]))
        .sum();
    let tax: i64 = ["tax_amounts", "taxes"]
        .iter()
        .flat_map(|name| elements(line, name))
        .filter(|tax| {
            tax.get("inclusive").and_then(Value::as_bool) == Some(true)
                || text(tax, &["tax_behavior"]) == Some("inclusive")
        })
        .filter_map(|tax| number(tax, &["amount"]))
        .sum();
    off + tax
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn invoice(status: &str) -> Value {
        json!({
            "id": "in_1", "object": "invoice", "customer": "cus_1", "status": status, "currency": "eur", "created": 1_772_000_000,
            "status_transitions": {"finalized_at": 1_772_000_100, "voided_at": 1_772_100_000},
            "lines": {"has_more": false, "data": [
                {
                    "id": "il_1", "amount": 12_100, "subscription": "sub_1",
                    "discount_amounts": [{"amount": 2_100}], "tax_amounts": [{"amount": 1_736, "inclusive": true}, {"amount": 9, "inclusive": false}],
                    "price": {"id": "price_1", "product": "prod_1"},
                    // 2026-01-31T23:30Z: the first of February in Madrid.
                    "period": {"start": 1_769_902_200, "end": 1_772_321_400}
                },
                {"id": "il_2", "amount": -500, "period": {"start": 1_772_000_000, "end": 1_772_000_000}}
            ]}
        })
    }

    fn shown(status: &str) -> Vec<String> {
        let records = records(&invoice(status), 9, chrono_tz::Europe::Madrid).unwrap();
        let columns = [
            "line_id",
            "line_type",
            "amount_minor",
            "service_from_on",
            "service_to_on",
            "product",
            "issued_at",
        ];
        records.iter().map(|record| record.shown(&columns)).collect()
    }

    #[test]
    fn lines_are_net_of_discounts_and_of_tax_inside() {
        assert_eq!(
            shown("paid"),
            [
                "il_1 - 8264 2026-02-01 2026-03-01 prod_1 2026-02-25T06:15:00Z",
                "il_2 - -500 - - - 2026-02-25T06:15:00Z",
            ]
        );
        assert!(shown("draft").is_empty());
    }

    #[test]
    fn what_was_voided_or_written_off_is_taken_back_on_its_day() {
        assert_eq!(
            shown("void")[0],
            "il_1|void void -8264 2026-02-01 2026-03-01 prod_1 2026-02-26T10:00:00Z"
        );
        assert_eq!(shown("void").len(), 4);
        assert_eq!(shown("void")[2], "il_2|void charge 500 - - - 2026-02-26T10:00:00Z");
        assert!(shown("uncollectible")[0].starts_with("il_1|bad_debt bad_debt -8264"));
    }

    #[test]
    fn written_off_and_then_paid_is_paid() {
        let mut changed = invoice("paid");
        changed["status_transitions"]["marked_uncollectible_at"] = json!(1_772_050_000);
        let records = records(&changed, 9, chrono_tz::Europe::Madrid).unwrap();
        let undone: Vec<_> = records
            .iter()
            .filter(|record| record.get("operation") == Some("delete"))
            .collect();
        assert_eq!(undone.len(), 2);
        assert_eq!(undone[0].get("line_id"), Some("il_1|bad_debt"));
    }

    #[test]
    fn a_credit_note_takes_back_until_it_is_voided() {
        let note = |status: &str| {
            json!({"id": "cn_1", "invoice": "in_1", "customer": "cus_1", "currency": "eur", "created": 1_772_000_000,
                "status": status, "lines": {"data": [
                    {"id": "cnli_1", "amount": 6050, "tax_amounts": [{"amount": 1050, "inclusive": true}]}]}})
        };
        let record = &credit_note(&note("issued"), 1).unwrap()[0];
        assert_eq!(
            [
                record.get("line_type"),
                record.get("amount_minor"),
                record.get("operation")
            ],
            [Some("credit_note"), Some("-5000"), None]
        );
        assert_eq!(
            credit_note(&note("void"), 1).unwrap()[0].get("operation"),
            Some("delete")
        );
    }
}
