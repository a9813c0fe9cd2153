//! The one dialect of definitions: what means the same on both engines, and nothing else.

use crate::{
    Definition, Fault,
    tokens::{Token, tokens},
};

/// Functions a definition may call. `sum`, `avg` and `/` are missing on purpose: they wrap, round or divide differently
/// on the two engines.
pub const FUNCTIONS: &[&str] = &[
    "abs",
    "after_minutes",
    "cast",
    "coalesce",
    "count",
    "first_value",
    "greatest",
    "lag",
    "last_value",
    "lead",
    "least",
    "max",
    "micros_between",
    "min",
    "money_sum",
    "month_day",
    "month_days",
    "month_index",
    "muldiv",
    "nullif",
    "ratio",
    "require",
    "row_number",
];

/// Tables that are there without a definition: records as known at the query's knowledge time (of customers every version too), the calendar of the query,
/// currencies and policy.
pub const BASE_TABLES: &[&str] = &[
    "customers_known",
    "customers_versions",
    "subscriptions_known",
    "orders_known",
    "ad_spend_known",
    "expenses_known",
    "fx_rates_known",
    "price_tiers_known",
    "month_closes_known",
    "invoice_lines_known",
    "product_events_known",
    "tickets_known",
    "issues_known",
    "releases_known",
    "deployments_known",
    "test_runs_known",
    "opportunities_known",
    "leads_known",
    "identity_links_known",
    "host_metrics_known",
    "incidents_known",
    "compliance_findings_known",
    "uptime_checks_known",
    "http_requests_known",
    "backups_known",
    "survey_responses_known",
    "model_evaluations_known",
    "model_scores_known",
    "data_quality_checks_known",
    "success_interventions_known",
    "onboarding_steps_known",
    "automations_known",
    "vendor_events_known",
    "payments_known",
    "reported_values_known",
    "periods",
    "boundaries",
    "days",
    "rate_days",
    "moments",
    "currencies",
    "policy",
];

/// Words that may stand before a parenthesis without being a function.
const NOT_FUNCTIONS: &[&str] = &[
    "and", "as", "by", "distinct", "else", "exists", "from", "in", "join", "not", "on", "or", "over", "select", "then",
    "values", "when", "where", "union", "all",
];

/// Words that have no place in a definition.
const REFUSED: &[&str] = &[
    "insert",
    "update",
    "delete",
    "create",
    "drop",
    "alter",
    "copy",
    "attach",
    "install",
    "load",
    "pragma",
    "set",
    "float",
    "double",
    "real",
    "now",
    "current_date",
    "current_timestamp",
    "random",
    "qualify",
];

pub(crate) fn check(definition: &Definition) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, text: String| {
        faults.push(Fault {
            file: definition.path.clone(),
            line,
            text,
        })
    };
    let found = tokens(&definition.sql, definition.sql_line);
    let word = |index: usize| match found.get(index) {
        Some((_, Token::Word(word))) => Some(word.as_str()),
        _ => None,
    };
    let sign = |index: usize| match found.get(index) {
        Some((_, Token::Sign(sign))) => Some(*sign),
        _ => None,
    };
    match word(0) {
        Some("select" | "with") => {}
        _ => fault(definition.sql_line, "a definition is one SELECT".to_owned()),
    }
    let ctes: Vec<&str> = (0..found.len())
        .filter(|&index| word(index + 1) == Some("as") && sign(index + 2) == Some('('))
        .filter_map(word)
        .collect();
    for (index, (line, token)) in found.iter().enumerate() {
        match token {
            Token::Sign('/') => fault(*line, "raw division: write muldiv(a, num, den) or ratio(a, b), because 7/2 is 3 on one engine and 3.5 on the other".to_owned()),
            Token::Sign(';') => fault(*line, "a definition is one SELECT, without a semicolon".to_owned()),
            Token::Word(name) if sign(index + 1) == Some('(') => {
                let is_cte = ctes.contains(&name.as_str());
                if !FUNCTIONS.contains(&name.as_str()) && !NOT_FUNCTIONS.contains(&name.as_str()) && !is_cte {
                    fault(*line, format!("{name}() is not in the dialect; it has {}", FUNCTIONS.join(", ")));
                }
            }
            Token::Word(name) if REFUSED.contains(&name.as_str()) => {
                fault(*line, format!("{} has no place in a definition", name.to_uppercase()));
            }
            // A comparison: `a IS DISTINCT FROM b`.
            Token::Word(name) if name == "from" && index > 0 && word(index - 1) == Some("distinct") => {}
            Token::Word(name) if matches!(name.as_str(), "from" | "join") => match word(index + 1) {
                Some(table) => {
                    let declared = definition.depends_on.iter().any(|known| known == table);
                    if !declared && !ctes.contains(&table) {
                        fault(*line, format!("reads {table:?}, which depends_on does not name"));
                    }
                }
                None if sign(index + 1) == Some('(') => {}
                None => fault(*line, "a table must be named by a plain word".to_owned()),
            },
            _ => {}
        }
    }
    for name in &definition.depends_on {
        if !found.iter().any(|(_, token)| *token == Token::Word(name.clone())) {
            fault(1, format!("depends_on names {name:?}, which the SQL never reads"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use crate::Catalog;

    const HEADER: &str = "--- id = \"x\"\n--- unit = \"rows\"\n--- description_en = \"x\"\n--- description_es = \"x\"\n--- source = \"x\"\n";

    fn message(depends_on: &str, sql: &str) -> String {
        let text = format!("{HEADER}--- depends_on = {depends_on}\n{sql}\n");
        Catalog::load([("a/x.sql", text.as_str())])
            .map(|_| String::new())
            .unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn what_is_shipped_is_valid() {
        Catalog::embedded().unwrap();
    }

    #[test]
    fn every_fault_names_its_file_and_line() {
        insta::assert_snapshot!([
            message("[\"policy\"]", "SELECT 7 / 2\nFROM policy"),
            message("[\"policy\"]", "SELECT sum(x),\n now() FROM policy"),
            message("[\"policy\"]", "SELECT 1 FROM policy JOIN orders_known ON 1 = 1"),
            message("[\"policy\", \"days\"]", "SELECT 1 FROM policy"),
            message("[\"nothing\"]", "SELECT 1 FROM nothing"),
            message("[\"policy\"]", "SELECT 1 FROM policy; DROP TABLE policy"),
            message("[\"policy\"]", "SELECT * FROM 'secret.parquet'"),
            message("[\"policy\"]", "DELETE FROM policy"),
            message("[\"policy\"]", "SELECT '/ ; now()' FROM policy -- a / b"),
        ].join("\n--\n"), @r#"
        a/x.sql:7: raw division: write muldiv(a, num, den) or ratio(a, b), because 7/2 is 3 on one engine and 3.5 on the other
        --
        a/x.sql:7: sum() is not in the dialect; it has abs, after_minutes, cast, coalesce, count, first_value, greatest, lag, last_value, lead, least, max, micros_between, min, money_sum, month_day, month_days, month_index, muldiv, nullif, ratio, require, row_number
        a/x.sql:8: now() is not in the dialect; it has abs, after_minutes, cast, coalesce, count, first_value, greatest, lag, last_value, lead, least, max, micros_between, min, money_sum, month_day, month_days, month_index, muldiv, nullif, ratio, require, row_number
        --
        a/x.sql:7: reads "orders_known", which depends_on does not name
        --
        a/x.sql:1: depends_on names "days", which the SQL never reads
        --
        a/x.sql:1: depends_on names "nothing", which is neither a definition nor a base table
        --
        a/x.sql:7: DROP has no place in a definition
        a/x.sql:7: a definition is one SELECT, without a semicolon
        --
        a/x.sql:1: depends_on names "policy", which the SQL never reads
        a/x.sql:7: a table must be named by a plain word
        --
        a/x.sql:7: DELETE has no place in a definition
        a/x.sql:7: a definition is one SELECT
        --
        "#);
    }

    #[test]
    fn a_cycle_is_named_with_its_path() {
        let part = |id: &str, on: &str| {
            format!(
                "{}--- depends_on = [\"{on}\"]\nSELECT 1 FROM {on}\n",
                HEADER.replace("\"x\"\n--- unit", &format!("\"{id}\"\n--- unit"))
            )
        };
        let error = Catalog::load([
            ("a.sql", part("a", "b").as_str()),
            ("b.sql", part("b", "c").as_str()),
            ("c.sql", part("c", "a").as_str()),
        ])
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a.sql:1: depends on itself: a -> b -> c -> a"),
            "{error}"
        );
    }

    #[test]
    fn headers_are_checked() {
        let error = Catalog::load([("y.sql", "--- id = \"y\"\n--- colour = 1\nSELECT 1")]).unwrap_err();
        assert!(
            error.to_string().starts_with("y.sql:2: header: unknown field `colour`"),
            "{error}"
        );
    }
}
