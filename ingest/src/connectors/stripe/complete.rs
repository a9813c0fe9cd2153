//! What Stripe leaves out of an object, asked for before the object is mapped.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Stripe,
    json::{elements, text},
};
use crate::{connectors::ConnectorError, receivers::Fault};

impl Stripe {
    /// The names of all products.
    pub(super) async fn product_names(&self) -> Result<HashMap<String, String>, ConnectorError> {
        let products = self.all("/v1/products", &[]).await?;
        let name = |product: &Value| Some((text(product, &["id"])?.to_owned(), text(product, &["name"])?.to_owned()));
        Ok(products.iter().filter_map(name).collect())
    }

    /// Fills in lists that were cut off, tiers, refunds and discounts that were given by their ids.
    ///
    /// What Stripe does not have any more is a fault of this object alone: the others go on.
    pub(super) async fn complete(&mut self, object: &mut Value) -> Result<Option<Fault>, ConnectorError> {
        match self.fill_in(object).await {
            Ok(()) => Ok(None),
            Err(error) if error.is_about_the_object() => Ok(Some(Fault::of("", error))),
            Err(error) => Err(error),
        }
    }

    async fn fill_in(&mut self, object: &mut Value) -> Result<(), ConnectorError> {
        let Some(id) = text(object, &["id"]).map(str::to_owned) else {
            return Ok(());
        };
        match text(object, &["object"]) {
            // A draft may still change, and nothing is made of it.
            Some("invoice") if cut_off(object, "lines") && text(object, &["status"]) != Some("draft") => {
                object["lines"] = self.all(&format!("/v1/invoices/{id}/lines"), &[]).await?.into();
            }
            Some("subscription") => {
                if cut_off(object, "items") {
                    let query = [("subscription", id.clone())];
                    object["items"] = self.all("/v1/subscription_items", &query).await?.into();
                }
                // First what costs nothing and is of that very moment.
                let own: Vec<Value> = object
                    .get("discount")
                    .filter(|own| own.is_object())
                    .cloned()
                    .into_iter()
                    .collect();
                resolve_all(object, &own);
                if discounts_given_by_id(object) {
                    let expand = ["discounts", "items.data.discounts"].map(|field| ("expand[]", field.to_owned()));
                    let known = self.one(&format!("/v1/subscriptions/{id}"), &expand).await?;
                    let mut found = elements(&known, "discounts").to_vec();
                    found.extend(
                        elements(&known, "items")
                            .iter()
                            .flat_map(|item| elements(item, "discounts").to_vec()),
                    );
                    resolve_all(object, &found);
                }
                self.complete_prices(object).await?;
            }
            Some("dispute") if object.get("charge").is_some_and(Value::is_string) => {
                let charge = text(object, &["charge"]).unwrap_or_default();
                object["charge"] = self.one(&format!("/v1/charges/{charge}"), &[]).await?;
            }
            Some("charge") if has_refunds(object) && elements(object, "refunds").is_empty() => {
                object["refunds"] = self.all("/v1/refunds", &[("charge", id)]).await?.into();
            }
            _ => {}
        }
        Ok(())
    }

    /// Tiers come with a price only when they are asked for.
    async fn complete_prices(&mut self, subscription: &mut Value) -> Result<(), ConnectorError> {
        let items = match subscription.get_mut("items") {
            Some(Value::Array(items)) => items,
            Some(Value::Object(list)) => match list.get_mut("data") {
                Some(Value::Array(items)) => items,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        for item in items {
            let Some(price) = item
                .get_mut("price")
                .filter(|price| lacks_tiers(price) && !is_metered(price))
            else {
                continue;
            };
            let Some(id) = text(price, &["id"]).map(str::to_owned) else {
                continue;
            };
            if !self.prices.contains_key(&id) {
                let query = [("expand[]", "tiers".to_owned())];
                let known = self.one(&format!("/v1/prices/{id}"), &query).await?;
                self.prices.insert(id.clone(), known);
            }
            if let Some(tiers) = self.prices.get(&id).and_then(|known| known.get("tiers")) {
                price["tiers"] = tiers.clone();
            }
        }
        Ok(())
    }

    async fn one(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ConnectorError> {
        let text = self.api.get(path, query).await?;
        self.api.read(path, &text)
    }

    async fn all(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<Value>, ConnectorError> {
        let mut found: Vec<Value> = Vec::new();
        loop {
            let mut query = query.to_vec();
            query.push(("limit", "100".to_owned()));
            if let Some(last) = found.last().and_then(|last| text(last, &["id"])) {
                query.push(("starting_after", last.to_owned()));
            }
            let (page, has_more) = self.list(path, &self.api.get(path, &query).await?)?;
            let is_last = !has_more || page.is_empty();
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }
}

fn cut_off(object: &Value, list: &str) -> bool {
    object.get(list).and_then(|list| list.get("has_more")?.as_bool()) == Some(true)
}

fn lacks_tiers(price: &Value) -> bool {
    text(price, &["billing_scheme"]) == Some("tiered") && elements(price, "tiers").is_empty()
}

fn is_metered(price: &Value) -> bool {
    text(price, &["recurring", "usage_type"]) == Some("metered")
}

fn has_refunds(charge: &Value) -> bool {
    charge
        .get("amount_refunded")
        .and_then(Value::as_i64)
        .is_some_and(|amount| amount > 0)
}

fn discounts_given_by_id(subscription: &Value) -> bool {
    let by_id = |object: &Value| elements(object, "discounts").iter().any(Value::is_string);
    by_id(subscription) || elements(subscription, "items").iter().any(by_id)
}

/// Puts known discounts in the place of their ids, also at the items; one that is not known stays an id, and is told as a
/// fault.
fn resolve_all(subscription: &mut Value, known: &[Value]) {
    resolve(subscription, known);
    let items = match subscription.get_mut("items") {
        Some(Value::Object(list)) => list.get_mut("data"),
        other => other,
    };
    for item in items.and_then(Value::as_array_mut).into_iter().flatten() {
        resolve(item, known);
    }
}

fn resolve(object: &mut Value, known: &[Value]) {
    if let Some(discounts) = object.get_mut("discounts").and_then(Value::as_array_mut) {
        for discount in discounts.iter_mut().filter(|discount| discount.is_string()) {
            if let Some(found) = known.iter().find(|found| text(found, &["id"]) == discount.as_str()) {
                *discount = found.clone();
            }
        }
    }
}
