//! The file as it is written, and what is made of it.

use std::collections::{BTreeMap, BTreeSet};

use atalaya_model::{Language, calendar};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{Level, Oncall, Override, Person, Policy, Rotation, Window, shifts::instant};
use crate::{Class, Limit};

const DAY_SECS: i64 = 86_400;
/// Years in which turns can be computed without running out of calendar.
const YEARS: std::ops::Range<i32> = 1970..3000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOncall {
    time_zone: Option<String>,
    #[serde(default)]
    person: Vec<RawPerson>,
    #[serde(default)]
    rotation: Vec<RawRotation>,
    #[serde(default, rename = "override")]
    overrides: Vec<RawOverride>,
    #[serde(default)]
    policy: Vec<RawPolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPerson {
    id: String,
    name: Option<String>,
    email: Option<String>,
    slack: Option<String>,
    language: Option<String>,
    time_zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRotation {
    id: String,
    people: Vec<String>,
    starts_on: String,
    hands_over_at: String,
    every: String,
    time_zone: Option<String>,
    #[serde(default)]
    window: Vec<RawWindow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    days: Vec<String>,
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    rotation: String,
    person: String,
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    id: String,
    classes: Vec<Class>,
    #[serde(default)]
    level: Vec<RawLevel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLevel {
    who: Vec<String>,
    after: Option<String>,
}

pub(super) fn parse(text: &str, home_zone: Tz) -> Result<Oncall, String> {
    let raw: RawOncall = toml::from_str(text).map_err(|error| error.to_string())?;
    let zone_of = |text: Option<&String>, otherwise: Tz, of: &str| match text {
        Some(text) => calendar::parse_zone(text).map_err(|error| format!("{of}: time_zone: {error}")),
        None => Ok(otherwise),
    };
    let zone = zone_of(raw.time_zone.as_ref(), home_zone, "file")?;
    let mut people = BTreeMap::new();
    for person in raw.person {
        let of = format!("person {:?}", person.id);
        let made = Person {
            name: person.name.unwrap_or_else(|| person.id.clone()),
            email: person
                .email
                .map(|email| address(email).map_err(|reason| format!("{of}: email: {reason}")))
                .transpose()?,
            slack: person
                .slack
                .map(|id| slack_id(&id).map_err(|reason| format!("{of}: slack: {reason}")))
                .transpose()?,
            language: match person.language.as_deref() {
                None | Some("en") => Language::En,
                Some("es") => Language::Es,
                Some(other) => return Err(format!("{of}: language: {other:?} is neither en nor es")),
            },
            zone: zone_of(person.time_zone.as_ref(), zone, &of)?,
            id: person.id.clone(),
        };
        if made.email.is_none() && made.slack.is_none() {
            return Err(format!("{of}: has neither email nor slack: nothing would reach them"));
        }
        if people.insert(person.id, made).is_some() {
            return Err(format!("{of} stands there twice"));
        }
    }
    let known = |name: &str, of: &str| match people.contains_key(name) {
        true => Ok(()),
        false => Err(format!("{of}: there is no person {name:?}")),
    };
    let mut rotations: BTreeMap<String, Rotation> = BTreeMap::new();
    for rotation in raw.rotation {
        let of = format!("rotation {:?}", rotation.id);
        for person in &rotation.people {
            known(person, &of)?;
        }
        let made = made(rotation, zone_of, zone, &of)?;
        if people.contains_key(&made.id) || rotations.contains_key(&made.id) {
            return Err(format!("{of}: the name is taken"));
        }
        rotations.insert(made.id.clone(), made);
    }
    for instead in raw.overrides {
        let of = format!("override of {:?} from {}", instead.rotation, instead.from);
        known(&instead.person, &of)?;
        let rotation = rotations
            .get_mut(&instead.rotation)
            .ok_or_else(|| format!("{of}: there is no such rotation"))?;
        let at = |text: &str| {
            let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok();
            local
                .filter(|local| YEARS.contains(&local.year()))
                .map(|local| instant(rotation.zone, local))
                .ok_or_else(|| format!("{of}: {text:?} is no local time (2026-01-31T09:30)"))
        };
        let (from_at, to_at) = (at(&instead.from)?, at(&instead.to)?);
        if from_at >= to_at {
            return Err(format!("{of}: it ends before it begins"));
        }
        if rotation
            .overrides
            .iter()
            .any(|other| other.from_at < to_at && from_at < other.to_at)
        {
            return Err(format!("{of}: it overlaps another"));
        }
        rotation.overrides.push(Override {
            person: instead.person,
            from_at,
            to_at,
        });
    }
    let mut policies = Vec::new();
    let mut classes = BTreeSet::new();
    for policy in raw.policy {
        let of = format!("policy {:?}", policy.id);
        if let Some(twice) = policy.classes.iter().find(|class| !classes.insert(**class)) {
            return Err(format!(
                "{of}: incidents of class {} have a policy already",
                twice.name()
            ));
        }
        let mut levels: Vec<Level> = Vec::new();
        for level in policy.level {
            let unknown = level
                .who
                .iter()
                .find(|name| !people.contains_key(*name) && !rotations.contains_key(*name));
            if let Some(name) = unknown {
                return Err(format!("{of}: {name:?} is neither a person nor a rotation"));
            }
            let after_secs = match &level.after {
                Some(text) => Limit::parse_secs(text).map_err(|reason| format!("{of}: after: {reason}"))?,
                None => 0,
            };
            if level.who.is_empty() || levels.last().is_some_and(|before| before.after_secs >= after_secs) {
                return Err(format!(
                    "{of}: each level names somebody and comes later than the one before"
                ));
            }
            levels.push(Level {
                who: level.who,
                after_secs,
            });
        }
        if levels.first().is_none_or(|level| level.after_secs != 0) {
            return Err(format!("{of}: its first level is told at once (no \"after\")"));
        }
        policies.push(Policy {
            id: policy.id,
            classes: policy.classes,
            levels,
        });
    }
    Ok(Oncall {
        people,
        rotations,
        policies,
    })
}

fn made(
    raw: RawRotation,
    zone_of: impl Fn(Option<&String>, Tz, &str) -> Result<Tz, String>,
    zone: Tz,
    of: &str,
) -> Result<Rotation, String> {
    let time = |text: &str| {
        NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| format!("{of}: {text:?} is no time of the day (09:00)"))
    };
    let every_secs = Limit::parse_secs(&raw.every).map_err(|reason| format!("{of}: every: {reason}"))?;
    let every_days = u32::try_from(every_secs / DAY_SECS).unwrap_or(0);
    if every_secs % DAY_SECS != 0 || every_days == 0 {
        return Err(format!("{of}: every: {:?} is not a number of whole days", raw.every));
    }
    if raw.people.is_empty() {
        return Err(format!("{of}: nobody is in it"));
    }
    let mut windows = Vec::new();
    for window in raw.window {
        let day = |text: &String| {
            let day = text.parse::<Weekday>();
            day.map_err(|_| format!("{of}: {text:?} is no day of the week (mon)"))
        };
        windows.push(Window {
            days: window.days.iter().map(day).collect::<Result<_, _>>()?,
            from: time(&window.from)?,
            to: time(&window.to)?,
        });
    }
    Ok(Rotation {
        starts_on: raw
            .starts_on
            .parse::<NaiveDate>()
            .ok()
            .filter(|day| YEARS.contains(&day.year()))
            .ok_or_else(|| format!("{of}: starts_on: {:?} is no day (2026-01-31)", raw.starts_on))?,
        hands_over_at: time(&raw.hands_over_at)?,
        every_days,
        zone: zone_of(raw.time_zone.as_ref(), zone, of)?,
        windows,
        overrides: Vec::new(),
        id: raw.id,
        people: raw.people,
    })
}

fn address(text: String) -> Result<String, String> {
    match text.parse::<lettre::Address>() {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{text:?} is no address: {error}")),
    }
}

/// A member's id: what stands in a mention must not be anything else.
fn slack_id(text: &str) -> Result<String, String> {
    let is_id = text.len() >= 2
        && text.starts_with(['U', 'W'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    match is_id {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is no member id (U0123ABCD)")),
    }
}
