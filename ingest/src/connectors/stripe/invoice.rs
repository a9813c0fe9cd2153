//! Invoices as lines: what was charged, and what was taken back by voiding or writing off.

use atalaya_model::{Kind, calendar};
use chrono_tz::Tz;
use serde_json::Value;

use super::json::{currency, elements, instant, minor, number, text, written};
use crate::{connectors::Record, receivers::Fault};

/// The lines of an invoice. A draft has none: it may still change.
pub(super) fn records(invoice: &Value, version: i64, zone: Tz) -> Result<Vec<Record>, Fault> {
    let status = text(invoice, &["status"]).unwrap_or("draft");
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
        let line_id = text(line, &["id"]).ok_or_else(|| Fault::of("lines.id", "is missing"))?;
        let amount = number(line, &["amount"]).ok_or_else(|| Fault::of("lines.amount", "is missing"))?;
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
        let net = minor("lines.amount", amount - off - tax, currency)?;
        let mut record = Record::new(Kind::InvoiceLines);
        record.set("record_version", version.to_string());
        record.set("customer_id", customer);
        record.set("invoice_id", id);
        record.set("line_id", line_id);
        record.set("amount_minor", net.to_string());
        record.set("currency", currency.code());
        record.set("issued_at", written(issued_at));
        let subscription = text(line, &["subscription"])
            .or_else(|| text(line, &["parent", "subscription_item_details", "subscription"]));
        let price = ["price", "plan"]
            .iter()
            .find_map(|name| line.get(name).filter(|price| price.is_object()));
        for (column, value) in [
            ("subscription_id", subscription),
            ("product", price.and_then(|price| text(price, &["product"]))),
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
            if net > 0 {
                records.push(back);
            }
        }
        records.push(record);
    }
    Ok(records)
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
        let cell = |record: &Record, column: &str| record.get(column).unwrap_or("-").to_owned();
        records
            .iter()
            .map(|record| {
                columns
                    .iter()
                    .map(|column| cell(record, column))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
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
        assert_eq!(shown("void").len(), 3);
        assert!(shown("uncollectible")[0].starts_with("il_1|bad_debt bad_debt -8264"));
    }
}
