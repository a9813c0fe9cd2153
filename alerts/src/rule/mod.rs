//! Rules: data, not code. What is read from a file is checked whole before anything is watched by it.

mod raw;
mod set;
mod trial;

use atalaya_model::Grain;

pub use set::{RuleSet, shipped};

use crate::{Condition, Timing, notify::Route};

/// A checked rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id, also its file's name.
    pub id: String,
    /// Name in English.
    pub name_en: String,
    /// Name in Spanish.
    pub name_es: String,
    /// Which response it asks for.
    pub class: Class,
    /// How bad it is.
    pub severity: Severity,
    /// Where it speaks, in order of importance.
    pub routes: Vec<Route>,
    /// What to do about it; may be empty.
    pub runbook_url: String,
    /// What it looks at.
    pub watch: Watch,
    /// When it fires and recovers.
    pub condition: Condition,
    /// How long things must last.
    pub timing: Timing,
    /// What it means that a thing is no longer spoken of.
    pub when_gone: WhenGone,
    /// What shares an incident.
    pub group: Group,
    /// Rules while which fire nobody is told of this one.
    pub inhibited_by: Vec<String>,
    /// How many seconds after one of them fired a thing may begin and still be explained by it; always when absent.
    pub inhibited_for_secs: Option<i64>,
    /// Told once, and over with that: there is nothing to recover.
    pub is_notice: bool,
    /// Why it is switched off, where it is.
    pub off: Option<String>,
    /// SHA-256 of its text.
    pub hash: String,
}

/// Which response a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Business at risk: now.
    Critical,
    /// Good news to act on: within a day, and never a page.
    Opportunity,
    /// Machines and services.
    Infrastructure,
    /// What customers were promised.
    Sla,
    /// Customers, product and models.
    Product,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Critical,
        Self::Opportunity,
        Self::Infrastructure,
        Self::Sla,
        Self::Product,
    ];

    /// The word used in files and lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Opportunity => "opportunity",
            Self::Infrastructure => "infrastructure",
            Self::Sla => "sla",
            Self::Product => "product",
        }
    }
}

/// How bad it is, in PagerDuty's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known.
    Info,
    /// To be looked at.
    Warning,
    /// To be mended.
    Error,
    /// To be mended now.
    Critical,
}

impl Severity {
    /// The word used in files and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// What a signal says now.
    Signal {
        /// The signal.
        signal: String,
        /// Evidence that a reading must show: column and word.
        only: Vec<(String, String)>,
    },
    /// The figure of one period of a metric.
    Metric {
        /// The metric.
        metric: String,
        /// The period.
        grain: Grain,
        /// The period that is running, as far as it has come; else the newest complete one.
        is_to_date: bool,
    },
    /// The sum over the last complete days of a metric against that over as many days before.
    Change {
        /// The metric.
        metric: String,
        /// Days of each window.
        days: u32,
        /// The dimension by which the change is explained.
        explained_by: Option<String>,
    },
    /// Incidents of Atalaya's own that were told and that nobody has acknowledged: how long they have waited.
    Unacknowledged,
    /// Rule files of the home that cannot be used.
    RuleFaults,
}

/// What it means that a thing is no longer spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenGone {
    /// It is over: a ticket was answered.
    Recovered,
    /// Nothing is known: a host fell silent.
    Unknown,
}

/// What shares an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Everything of the rule.
    Rule,
    /// Each thing has its own.
    Entity,
}
