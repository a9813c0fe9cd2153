//! The rules in force: those that come with Atalaya, and those of the home, which add to them or replace them.

use std::{collections::BTreeMap, path::Path};

use super::{Rule, raw::RawRule, trial};
use crate::AlertError;

include!(concat!(env!("OUT_DIR"), "/embedded_rules.rs"));

/// Rules by id.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: BTreeMap<String, Rule>,
    faults: Vec<String>,
}

impl RuleSet {
    /// The shipped rules, and over them the files `*.toml` of a folder, if it is there. Every rule has passed its own tests. A
    /// file that cannot be used leaves what was there before it, and is among the faults: one typing error must not switch off
    /// sixty rules.
    pub fn of_home(dir: &Path) -> Result<Self, AlertError> {
        let mut set = shipped()?;
        let cannot =
            |place: &Path, error: std::io::Error| bad(place.display().to_string(), format!("cannot be read: {error}"));
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(set),
            Err(error) => {
                set.faults.push(cannot(dir, error).to_string());
                return Ok(set);
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    set.faults.push(cannot(dir, error).to_string());
                    continue;
                }
            };
            if path.extension().is_none_or(|ending| ending != "toml") {
                continue;
            }
            let read = std::fs::read_to_string(&path).map_err(|error| cannot(&path, error));
            match read.and_then(|text| parse(&path.display().to_string(), &text)) {
                Ok(rule) => match set.unknown_inhibitor(&rule) {
                    None => {
                        set.rules.insert(rule.id.clone(), rule);
                    }
                    Some(fault) => set.faults.push(bad(path.display().to_string(), fault).to_string()),
                },
                Err(fault) => set.faults.push(fault.to_string()),
            }
        }
        set.faults.sort();
        Ok(set)
    }

    /// What is wrong with the home's rule files, one line each.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// All rules by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// A rule by id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    fn unknown_inhibitor(&self, rule: &Rule) -> Option<String> {
        let unknown = rule
            .inhibited_by
            .iter()
            .find(|other| **other == rule.id || !self.rules.contains_key(*other))?;
        Some(format!("inhibited_by names {unknown:?}, which is no other rule"))
    }
}

/// The rules that come with Atalaya.
pub fn shipped() -> Result<RuleSet, AlertError> {
    let mut set = RuleSet::default();
    for (file, text) in EMBEDDED {
        let rule = parse(file, text)?;
        set.rules.insert(rule.id.clone(), rule);
    }
    for rule in set.rules.values() {
        if let Some(fault) = set.unknown_inhibitor(rule) {
            return Err(bad(rule.id.clone(), fault));
        }
    }
    Ok(set)
}

fn bad(file: String, reason: String) -> AlertError {
    AlertError::Rule { file, reason }
}

/// Reads a rule and runs its tests.
pub(super) fn parse(file: &str, text: &str) -> Result<Rule, AlertError> {
    let fault = |reason: String| bad(file.to_owned(), reason);
    let raw: RawRule = toml::from_str(text).map_err(|error| fault(error.to_string()))?;
    let (rule, trials) = raw.check(text).map_err(fault)?;
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
    if stem != Some(rule.id.as_str()) {
        return Err(fault(format!("id {:?} is not the file's name", rule.id)));
    }
    for trial in &trials {
        trial::run(&rule, trial).map_err(fault)?;
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped_text(id: &str) -> &'static str {
        let file = format!("alerts/rules/{id}.toml");
        EMBEDDED.iter().find(|(name, _)| **name == file).unwrap().1
    }

    #[test]
    fn shipped_rules_pass_their_own_tests_and_each_has_some() {
        let set = shipped().unwrap();
        assert_eq!(set.iter().count(), EMBEDDED.len());
        for (file, text) in EMBEDDED {
            assert!(text.contains("[[test]]"), "{file} has no test");
        }
    }

    #[test]
    fn every_rule_stands_in_the_manual() {
        let manual = include_str!("../../../docs/alerts.md");
        for rule in shipped().unwrap().iter() {
            let line = manual
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", rule.id)));
            let routes: Vec<&str> = rule.routes.iter().map(|route| route.name()).collect();
            let ending = format!("| {} |", routes.join(" "));
            assert!(
                line.is_some_and(|line| line.ends_with(&ending)),
                "{}: {line:?}",
                rule.id
            );
        }
    }

    #[test]
    fn a_rule_that_fails_its_test_is_refused_with_its_name() {
        let text = shipped_text("revenue_drop").replace("expect = [\"firing\"]", "expect = [\"ok\"]");
        let error = parse("revenue_drop.toml", &text).unwrap_err().to_string();
        assert!(
            error.contains("revenue_drop.toml") && error.contains("one cent more"),
            "{error}"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let text = shipped_text("cpu_high");
        for (from, to, said) in [
            ("above = \"80 %\"", "above = \"80 %\"\nbelow = \"3 %\"", "is enough"),
            ("above = \"80 %\"", "", "give one limit"),
            ("at_most = \"70 %\"", "at_most = \"90 %\"", "would fire"),
            ("at_most = \"70 %\"", "at_least = \"70 %\"", "other side"),
            ("at_most = \"70 %\"", "at_most = \"70 s\"", "something else"),
            (
                "signal = \"cpu_utilization\"",
                "signal = \"x\"\nmetric = \"y\"",
                "name a signal or a metric",
            ),
            ("\"pagerduty\"", "\"pigeon\"", "no route"),
            ("class = \"infrastructure\"", "class = \"opportunity\"", "never pages"),
            ("id = \"cpu_high\"", "id = \"cpu\"", "not the file's name"),
            ("for = \"5 min\"", "for = \"5 %\"", "fires.for"),
            ("severity", "colour = 1\nseverity", "unknown field"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = parse("cpu_high.toml", &changed).unwrap_err().to_string();
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
    }
}
