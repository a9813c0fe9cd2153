//! Who is on call: people, rotations, overrides and the order in which they are told, as data in one file.

mod raw;
mod shifts;
mod simulate;

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;

use atalaya_model::Language;

pub use shifts::Shift;
pub(crate) use shifts::instant as local_instant;
pub use simulate::{Burden, Gap, Simulation};

use crate::{AlertError, Class};

/// The file in a home that says who is on call.
pub const ONCALL_FILE: &str = "oncall.toml";

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// How the file calls them.
    pub id: String,
    /// How people call them.
    pub name: String,
    /// Their address, where letters go.
    pub email: Option<String>,
    /// Their Slack member id, for mentions.
    pub slack: Option<String>,
    /// What they read.
    pub language: Language,
    /// Where they live: what is night to them.
    pub zone: Tz,
}

/// People who take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// How the file calls it.
    pub id: String,
    /// Whose turn follows whose.
    pub people: Vec<String>,
    /// The day of the first turn; nobody is on call before.
    pub starts_on: NaiveDate,
    /// When turns change, local time.
    pub hands_over_at: NaiveTime,
    /// Days of a turn.
    pub every_days: u32,
    /// Whose clock it follows.
    pub zone: Tz,
    /// Only these hours, where there are any.
    pub windows: Vec<Window>,
    /// Who stands in for whoever's turn it is; none overlaps another.
    pub overrides: Vec<Override>,
}

/// Hours of the week in which a rotation holds, local time. A window that does not end later than it begins ends the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: NaiveTime,
    /// When it ends, exclusively.
    pub to: NaiveTime,
}

/// Somebody in place of a turn; it holds also outside the windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Who.
    pub person: String,
    /// From when.
    pub from_at: DateTime<Utc>,
    /// Until when, exclusively.
    pub to_at: DateTime<Utc>,
}

/// In which order people are told of incidents of some classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How the file calls it.
    pub id: String,
    /// Of which incidents.
    pub classes: Vec<Class>,
    /// One after the other, while nobody takes the incident.
    pub levels: Vec<Level>,
}

/// Those who are told at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Rotations and people.
    pub who: Vec<String>,
    /// Seconds after the first word about an incident.
    pub after_secs: i64,
}

/// All of it, checked: every name is known, no override overlaps another, levels come in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oncall {
    /// People by id.
    pub people: BTreeMap<String, Person>,
    /// Rotations by id.
    pub rotations: BTreeMap<String, Rotation>,
    /// Policies in the order of the file; the first that names a class holds.
    pub policies: Vec<Policy>,
}

impl Oncall {
    /// Reads the home's file; `None` when there is none. Times without a zone are the home's.
    pub fn of_home(home: &Path, zone: Tz) -> Result<Option<Self>, AlertError> {
        let path = home.join(ONCALL_FILE);
        let wrong = |reason: String| AlertError::Oncall {
            file: path.display().to_string(),
            reason,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, zone).map(Some).map_err(wrong),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(format!("cannot be read: {error}"))),
        }
    }

    /// Reads the file's text.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        raw::parse(text, zone)
    }

    /// The policy for incidents of a class.
    pub fn policy(&self, class: Class) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.classes.contains(&class))
    }

    /// Who is on call at a moment under a name: of a person always they, of a rotation whoever's turn it is.
    pub fn who(&self, name: &str, at: DateTime<Utc>) -> Option<&Person> {
        if let Some(person) = self.people.get(name) {
            return Some(person);
        }
        let rotation = self.rotations.get(name)?;
        let shift = rotation.shift_at(at)?;
        self.people.get(&shift.person)
    }

    /// Everybody on call at a level of a policy, nobody twice.
    pub fn on_level(&self, level: &Level, at: DateTime<Utc>) -> Vec<&Person> {
        let mut found: Vec<&Person> = Vec::new();
        for person in level.who.iter().filter_map(|name| self.who(name, at)) {
            if !found.contains(&person) {
                found.push(person);
            }
        }
        found
    }
}
