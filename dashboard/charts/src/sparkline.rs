use plotters::prelude::*;

use crate::{
    ChartError,
    canvas::{Tone, svg},
};

/// A line of the last values; gaps (`None`) are left open. Without two values it is an empty drawing.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers become pixels"
)]
pub fn sparkline(values: &[Option<f64>], title: &str) -> Result<String, ChartError> {
    const WIDTH: u32 = 240;
    const HEIGHT: u32 = 48;
    svg((WIDTH, HEIGHT), title, |area| {
        let known = values.iter().flatten();
        let (low, high) = known.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        let last = values.len().saturating_sub(1).max(1) as f64;
        let point = |index: usize, value: f64| {
            let x = 4.0 + index as f64 / last * f64::from(WIDTH - 8);
            let y = f64::from(HEIGHT) - 6.0 - (value - low) / (high - low).max(1e-9) * f64::from(HEIGHT - 12);
            (x.round() as i32, y.round() as i32)
        };
        let mut run: Vec<(i32, i32)> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match value {
                Some(value) => run.push(point(index, *value)),
                None => {
                    area.draw(&PathElement::new(
                        std::mem::take(&mut run),
                        Tone::Accent.rgb().stroke_width(2),
                    ))?;
                }
            }
        }
        let end = run.last().copied();
        area.draw(&PathElement::new(run, Tone::Accent.rgb().stroke_width(2)))?;
        if let Some(end) = end {
            area.draw(&Circle::new(end, 3, Tone::Accent.rgb().filled()))?;
        }
        Ok(())
    })
}
