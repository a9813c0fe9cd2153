use serde::Deserialize;

use crate::{AlertError, Verdict, evaluate::change};

/// A rule as data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its id, also its file's name.
    pub id: String,
    /// Name in English.
    pub name_en: String,
    /// Name in Spanish.
    pub name_es: String,
    /// `critical`, `opportunity`, ...
    pub class: String,
    /// The metric it watches.
    pub metric: String,
    /// Where it speaks, in order of importance.
    pub routes: Vec<String>,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub runbook_url: String,
    /// When it fires.
    pub condition: Condition,
    #[serde(default)]
    test: Vec<RuleTest>,
}

/// When a rule fires and recovers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The sum of the last complete days against that of as many days before.
    ChangeOverWindows {
        /// Days of each window.
        window_days: u32,
        /// Fires strictly below this change in percent.
        fires_below_percent: i64,
        /// Recovers at or above this change in percent.
        recovers_at_percent: i64,
        /// The earlier window must be at least this much.
        min_base_minor: i64,
        /// The change must be at least this much, either way.
        min_change_minor: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTest {
    name: String,
    days: Vec<i64>,
    expect: String,
}

const EMBEDDED: &[(&str, &str)] = &[("revenue_drop.toml", include_str!("../rules/revenue_drop.toml"))];

/// The rules that come with Atalaya. Each has passed the tests in its own file.
pub fn rules() -> Result<Vec<Rule>, AlertError> {
    EMBEDDED.iter().map(|(file, text)| parse(file, text)).collect()
}

fn parse(file: &str, text: &str) -> Result<Rule, AlertError> {
    let bad = |reason: String| AlertError::Rule {
        file: format!("alerts/rules/{file}"),
        reason,
    };
    let rule: Rule = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
    if format!("{}.toml", rule.id) != file {
        return Err(bad(format!("id {:?} is not the file's name", rule.id)));
    }
    let Condition::ChangeOverWindows {
        window_days,
        fires_below_percent,
        recovers_at_percent,
        ..
    } = rule.condition;
    if window_days == 0 || fires_below_percent > recovers_at_percent {
        return Err(bad(
            "a window needs days, and recovery may not lie below firing".to_owned()
        ));
    }
    for test in &rule.test {
        let verdict = change(&rule.condition, &test.days);
        if verdict.name() != test.expect {
            return Err(bad(format!(
                "test {:?} expects {}, the rule says {}",
                test.name,
                test.expect,
                verdict.name()
            )));
        }
    }
    Ok(rule)
}

impl Verdict {
    /// The word used in rule tests and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fires { .. } => "firing",
            Self::Holds { .. } => "hold",
            Self::Recovered { .. } => "ok",
            Self::BelowFloor { .. } => "below_floor",
            Self::NoValue { .. } => "no_value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_rules_pass_their_own_tests() {
        assert_eq!(rules().unwrap().len(), EMBEDDED.len());
    }

    #[test]
    fn a_rule_that_fails_its_test_is_refused_with_its_name() {
        let text = EMBEDDED[0].1.replace("expect = \"firing\"", "expect = \"ok\"");
        let error = parse("revenue_drop.toml", &text).unwrap_err().to_string();
        assert!(
            error.contains("revenue_drop.toml") && error.contains("one cent more"),
            "{error}"
        );
    }
}
