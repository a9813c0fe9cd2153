use plotters::{
    prelude::*,
    style::text_anchor::{HPos, VPos},
};

use crate::{
    ChartError,
    canvas::{Tone, font, svg},
};

/// One cell: how strong, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatCell {
    /// 0 to 1.
    pub share: f64,
    /// The value, as people read it.
    pub shown: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatRow {
    /// What the row is.
    pub label: String,
    /// Beside the label: how many.
    pub size: String,
    /// Cells by age; `None` where nothing is known yet, which is not zero.
    pub cells: Vec<Option<HeatCell>>,
}

/// Rows of cells, the stronger the darker; the value stands in every cell.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "counts become pixels"
)]
pub fn heatmap(rows: &[HeatRow], title: &str) -> Result<String, ChartError> {
    const LABEL: i32 = 118;
    const CELL: i32 = 56;
    const LINE: i32 = 28;
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0) as i32;
    let size = (
        (LABEL + columns.max(1) * CELL) as u32,
        ((rows.len() as i32 + 1) * LINE) as u32,
    );
    svg(size, title, |area| {
        for column in 0..columns {
            let at = (LABEL + column * CELL + CELL / 2, LINE / 2);
            area.draw_text(
                &column.to_string(),
                &font(11.0, Tone::Quiet, HPos::Center, VPos::Center),
                at,
            )?;
        }
        for (index, row) in (1_i32..).zip(rows) {
            let top = index * LINE;
            area.draw_text(
                &row.label,
                &font(12.0, Tone::Ink, HPos::Left, VPos::Center),
                (0, top + LINE / 2),
            )?;
            area.draw_text(
                &row.size,
                &font(11.0, Tone::Quiet, HPos::Right, VPos::Center),
                (LABEL - 10, top + LINE / 2),
            )?;
            for (column, cell) in (0_i32..).zip(&row.cells) {
                let Some(cell) = cell else { continue };
                let left = LABEL + column * CELL;
                let share = cell.share.clamp(0.0, 1.0);
                // Squared: retention lives between 50 and 100 percent, where the eye should see most.
                let strength = 0.06 + 0.86 * share * share;
                area.draw(&Rectangle::new(
                    [(left + 1, top + 1), (left + CELL - 1, top + LINE - 1)],
                    Tone::Accent.rgb().mix(strength).filled(),
                ))?;
                let tone = if strength > 0.6 { Tone::Paper } else { Tone::Ink };
                area.draw_text(
                    &cell.shown,
                    &font(11.0, tone, HPos::Center, VPos::Center),
                    (left + CELL / 2, top + LINE / 2),
                )?;
            }
        }
        Ok(())
    })
}
