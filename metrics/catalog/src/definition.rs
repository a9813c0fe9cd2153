use atalaya_model::{Additivity, Direction, Grain, MetricSpec, ReadingUnit, Target, Unit};
use serde::Deserialize;

use crate::{Catalog, Fault};

/// One definition: its checked header and its `SELECT`.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The file it comes from.
    pub path: String,
    /// What is known of the metric before it is computed.
    pub spec: MetricSpec,
    /// Definitions and base tables it reads.
    pub depends_on: Vec<String>,
    /// Definitions whose rows would be violations of what must hold whenever this metric is computed.
    pub identities: Vec<String>,
    /// A definition with `opening_micros` and `closing_micros`, whose published difference the published parts of a
    /// period add up to.
    pub rounds_to: Option<String>,
    /// How many periods before those asked for it looks back on.
    pub lookback: u32,
    /// Whether it looks back on as many more as the policy's `cac_lag_months` says.
    pub lookback_by_cac_lag: bool,
    /// What the readings of a signal are; absent for what is no signal. A signal says what holds at one moment: a row for
    /// each thing, of `entity, label, since_at, numerator, denominator` and its evidence.
    pub reading: Option<ReadingUnit>,
    /// Columns that a signal gives for people to understand it.
    pub evidence: Vec<String>,
    /// How many minutes of momentary records (samples, requests, checks, events) it looks back on; all when absent.
    pub horizon_minutes: Option<u32>,
    /// A condition on a momentary kind's own columns that all it reads of that kind fulfils: where nobody else reads the kind,
    /// nothing else needs to be looked at.
    pub keeps: Option<String>,
    /// Records of which it reads only those that happened within the days of its calendar, what it looks back on included.
    pub within_calendar: Vec<String>,
    /// The `SELECT`, with `{by}` where the dimensions asked for go.
    pub sql: String,
    /// The line of the file on which `sql` starts, from 1.
    pub sql_line: usize,
}

impl Definition {
    /// The `SELECT` with dimensions in place. Each is a column name of the checked header, never text from outside.
    pub fn select(&self, by: &[String]) -> String {
        let columns: String = by
            .iter()
            .filter(|name| self.spec.dimensions.contains(name))
            .map(|name| format!("{name}, "))
            .collect();
        self.sql.replace("{by} ", &columns).replace("{by}", &columns)
    }

    /// The identities to check: those of segments only where the answer has segments, since elsewhere others say more.
    pub fn identities_of<'a>(&'a self, catalog: &Catalog, is_divided: bool) -> Vec<&'a str> {
        let is_of_segments = |id: &&String| catalog.get(id).is_some_and(|identity| identity.sql.contains("{by}"));
        let asked = self.identities.iter().filter(|id| is_divided || !is_of_segments(id));
        asked.map(String::as_str).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    id: String,
    unit: Unit,
    name_en: Option<String>,
    name_es: Option<String>,
    description_en: String,
    description_es: String,
    #[serde(default)]
    direction: Direction,
    #[serde(default)]
    additivity: Additivity,
    #[serde(default)]
    grains: Vec<Grain>,
    #[serde(default)]
    dimensions: Vec<String>,
    #[serde(default)]
    breakdown: Vec<String>,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    owner: String,
    source: String,
    depends_on: Vec<String>,
    #[serde(default)]
    identities: Vec<String>,
    rounds_to: Option<String>,
    #[serde(default)]
    lookback: u32,
    lookback_switch: Option<String>,
    no_value: Option<String>,
    reading: Option<ReadingUnit>,
    #[serde(default)]
    evidence: Vec<String>,
    horizon_minutes: Option<u32>,
    keeps: Option<String>,
    #[serde(default)]
    within_calendar: Vec<String>,
}

pub(crate) fn parse(path: &str, text: &str) -> Result<Definition, Vec<Fault>> {
    let fault = |line: usize, text: String| Fault {
        file: path.to_owned(),
        line,
        text,
    };
    let mut header = String::new();
    let mut sql = String::new();
    let mut sql_line = 0;
    for (index, line) in text.lines().enumerate() {
        match line.strip_prefix("---") {
            Some(rest) if sql_line == 0 => {
                header.push_str(rest.strip_prefix(' ').unwrap_or(rest));
                header.push('\n');
            }
            Some(_) => {
                return Err(vec![fault(
                    index + 1,
                    "a header line (---) stands after the SQL began".to_owned(),
                )]);
            }
            None => {
                if sql_line == 0 {
                    sql_line = index + 1;
                }
                sql.push_str(line);
                sql.push('\n');
            }
        }
    }
    let raw: RawHeader = toml::from_str(&header).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            header[..span.start.min(header.len())].matches('\n').count() + 1
        });
        vec![fault(line, format!("header: {}", error.message()))]
    })?;
    let line_of = |field: &str| {
        header
            .lines()
            .position(|line| line.split('=').next().is_some_and(|name| name.trim() == field))
            .map_or(1, |line| line + 1)
    };
    let mut faults = Vec::new();
    let stem = path
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_suffix(".sql"))
        .unwrap_or(path);
    if raw.id != stem {
        faults.push(fault(
            line_of("id"),
            format!("id {:?} is not the file's name {stem:?}", raw.id),
        ));
    }
    if !raw
        .id
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        faults.push(fault(
            line_of("id"),
            format!("id {:?} may hold a-z, 0-9 and _ only", raw.id),
        ));
    }
    if let (Some(_), true) = (
        raw.reading,
        raw.unit != Unit::Rows || raw.name_en.is_none() || raw.name_es.is_none(),
    ) {
        let text = "a signal has the unit rows, name_en and name_es".to_owned();
        faults.push(fault(line_of("reading"), text));
    }
    if raw.reading.is_none() && !raw.evidence.is_empty() {
        faults.push(fault(line_of("evidence"), "only a signal has evidence".to_owned()));
    }
    if raw.unit != Unit::Rows {
        for (field, missing) in [
            ("name_en", raw.name_en.is_none()),
            ("name_es", raw.name_es.is_none()),
            ("grains", raw.grains.is_empty()),
            ("owner", raw.owner.is_empty()),
        ] {
            if missing {
                faults.push(fault(1, format!("a metric needs {field}")));
            }
        }
    }
    let has_by = sql.contains("{by}");
    if has_by == raw.dimensions.is_empty() {
        let text = if has_by {
            "the SQL uses {by} but the header has no dimensions"
        } else {
            "the header has dimensions but the SQL never uses {by}"
        };
        faults.push(fault(line_of("dimensions"), text.to_owned()));
    }
    if let Some(other) = raw.lookback_switch.as_deref().filter(|name| *name != "cac_lag_months") {
        faults.push(fault(
            line_of("lookback_switch"),
            format!("lookback_switch {other:?} is no switch of months; there is cac_lag_months"),
        ));
    }
    if let Some(other) = raw.within_calendar.iter().find(|name| !raw.depends_on.contains(name)) {
        faults.push(fault(
            line_of("within_calendar"),
            format!("within_calendar names {other:?}, which depends_on does not name"),
        ));
    }
    if sql.trim().is_empty() {
        faults.push(fault(
            text.lines().count().max(1),
            "there is no SQL below the header".to_owned(),
        ));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Definition {
        path: path.to_owned(),
        spec: MetricSpec {
            name_en: raw.name_en.unwrap_or_else(|| raw.id.clone()),
            name_es: raw.name_es.unwrap_or_else(|| raw.id.clone()),
            id: raw.id,
            description_en: raw.description_en,
            description_es: raw.description_es,
            unit: raw.unit,
            direction: raw.direction,
            additivity: raw.additivity,
            grains: raw.grains,
            dimensions: raw.dimensions,
            breakdown: raw.breakdown,
            targets: raw.targets,
            owner: raw.owner,
            no_value: raw.no_value,
            source: raw.source,
            definition_hash: String::new(),
        },
        depends_on: raw.depends_on,
        identities: raw.identities,
        rounds_to: raw.rounds_to,
        lookback: raw.lookback,
        lookback_by_cac_lag: raw.lookback_switch.is_some(),
        reading: raw.reading,
        evidence: raw.evidence,
        horizon_minutes: raw.horizon_minutes,
        keeps: raw.keeps,
        within_calendar: raw.within_calendar,
        sql,
        sql_line,
    })
}
