//! Tables as people and programs read them.

use atalaya_model::{Figure, Money, Series, Unit};
use clap::ValueEnum;

use crate::console::Console;

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// Comma-separated, with a header.
    Csv,
}

/// A table of text; columns named with `>` in front are aligned right in print.
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) numeric: Vec<bool>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str], numeric: &[bool]) -> Self {
        Self {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            numeric: numeric.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn print(&self, format: Format, console: &dyn Console) -> anyhow::Result<()> {
        match format {
            Format::Table => console.out(&self.aligned()),
            Format::Csv => console.out(&self.csv()?),
            Format::Json => {
                let rows: Vec<serde_json::Value> = self
                    .rows
                    .iter()
                    .map(|row| {
                        self.columns
                            .iter()
                            .zip(row)
                            .zip(&self.numeric)
                            .map(|((name, cell), numeric)| (name.clone(), json_cell(cell.as_deref(), *numeric)))
                            .collect::<serde_json::Map<_, _>>()
                            .into()
                    })
                    .collect();
                console.out(&format!("{}\n", serde_json::to_string_pretty(&rows)?));
            }
        }
        Ok(())
    }

    pub(crate) fn csv(&self) -> anyhow::Result<String> {
        // Written by hand because an empty only cell must not become an empty line, and quoting must be minimal.
        let cell = |text: &str| {
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let mut lines = vec![self.columns.iter().map(|name| cell(name)).collect::<Vec<_>>().join(",")];
        lines.extend(self.rows.iter().map(|row| {
            row.iter()
                .map(|value| cell(value.as_deref().unwrap_or("")))
                .collect::<Vec<_>>()
                .join(",")
        }));
        Ok(lines.join("\n") + "\n")
    }

    fn aligned(&self) -> String {
        let shown = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "–".to_owned());
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                let cells = self.rows.iter().map(|row| shown(&row[index]).chars().count());
                cells.chain([self.columns[index].chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: Vec<String>| {
            let padded: Vec<String> = cells
                .iter()
                .enumerate()
                .map(|(index, cell)| {
                    let blanks = " ".repeat(widths[index].saturating_sub(cell.chars().count()));
                    if self.numeric[index] {
                        format!("{blanks}{cell}")
                    } else {
                        format!("{cell}{blanks}")
                    }
                })
                .collect();
            padded.join("  ").trim_end().to_owned() + "\n"
        };
        let mut text = line(self.columns.clone());
        text += &line(widths.iter().map(|width| "─".repeat(*width)).collect());
        for row in &self.rows {
            text += &line(row.iter().map(shown).collect());
        }
        text
    }
}

fn json_cell(cell: Option<&str>, numeric: bool) -> serde_json::Value {
    match cell {
        None => serde_json::Value::Null,
        Some(text) if numeric => text.parse::<i64>().map_or_else(|_| text.into(), Into::into),
        Some(text) => text.into(),
    }
}

/// A series as the columns the command line promises: period, dimensions, the unit's numbers, status.
pub(crate) fn series_table(series: &Series, for_people: bool) -> Table {
    let mut columns = vec!["period".to_owned()];
    columns.extend(series.dimensions.iter().cloned());
    let units: &[&str] = match series.unit {
        Unit::Money | Unit::MoneyMicros | Unit::MoneyPer if for_people => &["value"],
        Unit::Money | Unit::MoneyMicros | Unit::MoneyPer => &["value_minor", "currency"],
        Unit::Count | Unit::Rows => &["value"],
        Unit::Ratio | Unit::Factor if for_people => &["value", "numerator", "denominator"],
        Unit::Ratio | Unit::Factor => &["numerator", "denominator"],
    };
    columns.extend(units.iter().map(|&name| name.to_owned()));
    columns.push("status".to_owned());
    let mut numeric = vec![false; 1 + series.dimensions.len()];
    numeric.extend(units.iter().map(|name| *name != "currency"));
    numeric.push(false);
    let rows = series
        .points
        .iter()
        .map(|point| {
            let mut row = vec![Some(point.period_on.to_string())];
            row.extend(point.dimensions.iter().cloned());
            match &point.figure {
                Figure::Money { value_minor, currency } if for_people => {
                    row.push(Some(Money::new(*value_minor, *currency).to_string()));
                }
                Figure::Money { value_minor, currency } => {
                    row.push(Some(value_minor.to_string()));
                    row.push(Some(currency.code().to_owned()));
                }
                Figure::Count { value } => row.push(Some(value.to_string())),
                Figure::Ratio { numerator, denominator } => {
                    if for_people {
                        let value = point.figure.approximate().unwrap_or_default();
                        row.push(Some(match series.unit {
                            Unit::Factor => format!("{value:.2}"),
                            _ => format!("{:.2} %", value * 100.0),
                        }));
                    }
                    row.push(Some(numerator.to_string()));
                    row.push(Some(denominator.to_string()));
                }
                Figure::None { .. } => row.extend(units.iter().map(|_| None)),
            }
            let status = match &point.figure {
                Figure::None { reason } if for_people => format!("{}, no value: {reason}", point.status.name()),
                _ => point.status.name().to_owned(),
            };
            row.push(Some(status));
            row
        })
        .collect();
    Table { columns, numeric, rows }
}
