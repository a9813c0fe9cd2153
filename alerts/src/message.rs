//! A notification before it is written for a route.

use atalaya_model::Language;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Characters of a name that a customer chose.
const NAME_CHARS: usize = 120;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Trigger,
    Update,
    /// Somebody took it: who was told need do nothing.
    Acknowledge,
    /// Whoever took it gave it back.
    GiveBack,
    Resolve,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Update => "update",
            Self::Acknowledge => "acknowledge",
            Self::GiveBack => "give_back",
            Self::Resolve => "resolve",
        }
    }
}

/// What somebody who reads a first message can do about it with a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Nothing: it is over, or only told.
    None,
    /// Take it.
    Take,
    /// Take it, or hear nothing more of that thing for a while.
    TakeOrQuiet,
}

/// A notification before it is written for a route.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) action: Action,
    pub(crate) severity: &'static str,
    pub(crate) dedup_key: String,
    pub(crate) rule_id: String,
    pub(crate) component: String,
    pub(crate) company: String,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    /// What explains it, one by one.
    pub(crate) table: Option<Table>,
    /// The days that are compared.
    pub(crate) chart: Option<Chart>,
    pub(crate) language: Language,
    pub(crate) footer: String,
    pub(crate) details: Value,
    pub(crate) runbook_url: String,
    /// What people can answer where they read it.
    pub(crate) answers: Answers,
    /// Slack's ids of those who are mentioned.
    pub(crate) mentions: Vec<String>,
    /// Addresses of those who get a letter beside the usual readers.
    pub(crate) also_to: Vec<String>,
    /// Whether a beginning can be told more than once under its key, each time in words of its own.
    pub(crate) may_recur: bool,
    /// Whether an end is good news.
    pub(crate) is_well: bool,
    pub(crate) at: DateTime<Utc>,
}

impl Message {
    /// All of it in lines, for routes that have no tables.
    pub(crate) fn all_lines(&self) -> Vec<String> {
        let rows = self.table.iter().flat_map(Table::lines);
        self.lines.iter().cloned().chain(rows).collect()
    }
}

/// Rows that explain a message: the first column says what, the second how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// A line for each row. Columns beyond the second are named; what is empty is left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |row: &Vec<String>| {
            let named = self.header.iter().zip(row).skip(2);
            let more = named
                .filter(|(_, cell)| !cell.is_empty())
                .map(|(name, cell)| format!("{name} {cell}"));
            let first: Vec<&str> = row
                .iter()
                .take(2)
                .map(String::as_str)
                .filter(|cell| !cell.is_empty())
                .collect();
            let parts: Vec<String> = std::iter::once(first.join(" ")).chain(more).collect();
            parts
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" · ")
        };
        self.rows.iter().map(line).filter(|line| !line.is_empty()).collect()
    }
}

/// Series over the same categories, for a picture: the exact figures stand in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What is drawn upwards: a currency, or nothing where things are counted.
    pub(crate) unit: String,
    pub(crate) categories: Vec<String>,
    pub(crate) series: Vec<(String, Vec<f64>)>,
}

/// How many are not listed, where some are not.
pub(crate) fn and_more(language: Language, left_out: usize) -> Option<String> {
    let number = language.integer(i64::try_from(left_out).unwrap_or(i64::MAX));
    (left_out > 0).then(|| format!("{} {number}", language.pick("and more:", "y más:")))
}

/// Text of others on one line, and not too long.
pub(crate) fn cut(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect();
    if flat.chars().count() <= NAME_CHARS {
        return flat;
    }
    flat.chars().take(NAME_CHARS - 1).chain(['…']).collect()
}
