//! What one frame holds: the rows of one request, with the numbers under which they arrived.

use std::borrow::Cow;

use atalaya_model::Kind;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{DeadLetter, Row, StoreError};

/// Rows of a request for one table.
#[derive(Debug, Clone)]
pub enum Part {
    /// Rows of a kind.
    Rows {
        /// The kind.
        kind: Kind,
        /// Its rows.
        rows: Vec<Row>,
        /// Whether a row whose source, key and version were landed within the source's window is left out.
        once: bool,
    },
    /// Events that did not fit, to be kept until somebody mends the cause.
    Letters(Vec<DeadLetter>),
}

impl Part {
    /// Its rows or letters.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rows { rows, .. } => rows.len(),
            Self::Letters(letters) => letters.len(),
        }
    }

    /// About what it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Rows { rows, .. } => rows.iter().map(Row::weight).sum(),
            Self::Letters(letters) => letters
                .iter()
                .map(|letter| letter.row.len() + letter.mapping.len() + 400)
                .sum(),
        }
    }
}

/// What became of a request. All of it is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Rows that are new.
    pub rows: u64,
    /// Rows that had been landed before and were left out.
    pub duplicates: u64,
    /// Dead letters kept.
    pub letters: u64,
    /// Dead letters that had been kept before.
    pub known_letters: u64,
}

/// A request as logged. Columns have names, so that a later Atalaya with more of them reads what an earlier one wrote.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Logged<'a> {
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub(crate) landed_at: DateTime<Utc>,
    pub(crate) first_seq: i64,
    pub(crate) parts: Vec<LoggedPart<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LoggedPart<'a> {
    Rows {
        kind: Cow<'a, str>,
        columns: Vec<Cow<'a, str>>,
        rows: Cow<'a, [Row]>,
    },
    Letters(Cow<'a, [DeadLetter]>),
}

impl<'a> Logged<'a> {
    /// A request about to be logged.
    pub(crate) fn of(landed_at: DateTime<Utc>, first_seq: i64, parts: &'a [Part]) -> Self {
        let parts = parts
            .iter()
            .map(|part| match part {
                Part::Rows { kind, rows, .. } => LoggedPart::Rows {
                    kind: Cow::Borrowed(kind.name()),
                    columns: kind.columns().iter().map(|column| Cow::Borrowed(column.name)).collect(),
                    rows: Cow::Borrowed(rows),
                },
                Part::Letters(letters) => LoggedPart::Letters(Cow::Borrowed(letters)),
            })
            .collect();
        Self {
            landed_at,
            first_seq,
            parts,
        }
    }

    /// Appends its bytes.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        postcard::to_io(self, &mut *bytes)
            .map(|_| ())
            .map_err(|error| StoreError::Log {
                reason: format!("a request cannot be written down: {error}"),
            })
    }

    /// Reads a frame's payload. A column that is not known any more is an error: columns are only added.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(DateTime<Utc>, i64, Vec<Part>), String> {
        let logged: Logged<'_> = postcard::from_bytes(bytes).map_err(|error| error.to_string())?;
        let parts = logged
            .parts
            .into_iter()
            .map(|part| match part {
                LoggedPart::Letters(letters) => Ok(Part::Letters(letters.into_owned())),
                LoggedPart::Rows { kind, columns, rows } => {
                    let kind = Kind::parse(&kind).map_err(|error| error.to_string())?;
                    Ok(Part::Rows {
                        kind,
                        rows: in_place(kind, &columns, rows.into_owned())?,
                        once: true,
                    })
                }
            })
            .collect::<Result<_, String>>()?;
        Ok((logged.landed_at, logged.first_seq, parts))
    }
}

/// Puts values where the kind has their columns now.
fn in_place(kind: Kind, columns: &[Cow<'_, str>], mut rows: Vec<Row>) -> Result<Vec<Row>, String> {
    let now = kind.columns();
    if columns.iter().eq(now.iter().map(|column| column.name)) {
        return Ok(rows);
    }
    let places = columns
        .iter()
        .map(|name| {
            now.iter()
                .position(|column| column.name == name)
                .ok_or_else(|| format!("{kind} has no column {name:?}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    for row in &mut rows {
        let mut values = vec![None; now.len()];
        for (place, value) in places.iter().zip(std::mem::take(&mut row.values)) {
            values[*place] = value;
        }
        row.values = values;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::Value;

    fn row() -> Row {
        let at = Utc.with_ymd_and_hms(2026, 3, 1, 10, 0, 0).unwrap();
        let mut values = vec![None; Kind::AdSpend.columns().len()];
        values[0] = Some(Value::Date(at.date_naive()));
        values[1] = Some(Value::Text("búsqueda".to_owned()));
        values[3] = Some(Value::Integer(-5));
        Row {
            values,
            record_key: Some("k".to_owned()),
            record_version: 3,
            operation: "upsert".to_owned(),
            occurred_at: at,
            recorded_at: Some(at),
            source: None,
            extra: Some("{}".to_owned()),
        }
    }

    #[test]
    fn what_is_logged_is_read_also_after_columns_were_added() {
        let at = row().occurred_at;
        let parts = [
            Part::Rows {
                kind: Kind::AdSpend,
                rows: vec![row()],
                once: true,
            },
            Part::Letters(vec![]),
        ];
        let mut bytes = Vec::new();
        Logged::of(at, 41, &parts).encode(&mut bytes).unwrap();
        let (landed_at, first_seq, read) = Logged::decode(&bytes).unwrap();
        assert_eq!((landed_at, first_seq, read.len()), (at, 41, 2));
        assert!(matches!(&read[0], Part::Rows { rows, .. } if rows == &[row()]));

        // An earlier Atalaya, with two columns in another order.
        let values = vec![Some(Value::Text("radio".to_owned())), row().values[0].clone()];
        let older = in_place(
            Kind::AdSpend,
            &["channel".into(), "spent_on".into()],
            vec![Row { values, ..row() }],
        )
        .unwrap();
        assert_eq!(older[0].values[0], row().values[0]);
        assert_eq!(older[0].values[1], Some(Value::Text("radio".to_owned())));
        assert_eq!(older[0].values[3], None);
        assert!(
            in_place(Kind::AdSpend, &["colour".into()], vec![])
                .unwrap_err()
                .contains("colour")
        );
        assert!(Logged::decode(&bytes[..bytes.len() / 2]).is_err());
    }
}
