use plotters::{
    prelude::*,
    style::text_anchor::{HPos, VPos},
};

use crate::{
    ChartError,
    canvas::{Tone, font, svg},
};

/// What a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    /// A level, drawn from zero.
    Level,
    /// A change, drawn from where the last bar ended.
    Change,
}

/// One bar of a waterfall.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is.
    pub label: String,
    /// The value, as people read it.
    pub shown: String,
    /// The value.
    pub value: f64,
    /// Level or change.
    pub kind: BarKind,
}

/// From one level to another through what moved it. The axis is cut below the levels, so that movements of a few
/// percent can be seen; the levels' bars are marked as cut.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers become pixels"
)]
pub fn waterfall(bars: &[Bar], title: &str, narrow: bool) -> Result<String, ChartError> {
    let (width, height): (u32, u32) = if narrow { (380, 300) } else { (880, 300) };
    let text = if narrow { 10.0 } else { 12.0 };
    svg((width, height), title, |area| {
        let mut spans = Vec::new();
        let mut level = 0.0;
        for bar in bars {
            let span = match bar.kind {
                BarKind::Level => (0.0, bar.value),
                BarKind::Change => (level, level + bar.value),
            };
            level = span.1;
            spans.push(span);
        }
        let tops = bars.iter().zip(&spans).flat_map(|(bar, span)| match bar.kind {
            BarKind::Level => vec![span.1],
            BarKind::Change => vec![span.0, span.1],
        });
        let (low, high) = tops.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let reach = (high - low).max(high.abs() * 0.02).max(1e-9);
        let floor = if low > 0.0 { (low - reach * 0.35).max(0.0) } else { low };
        let (top, bottom) = (26.0, f64::from(height) - 40.0);
        let y = |value: f64| {
            (bottom - (value.max(floor) - floor) / (high - floor).max(1e-9) * (bottom - top)).round() as i32
        };
        let slot = f64::from(width) / bars.len().max(1) as f64;
        let left = |index: usize| (index as f64 * slot + slot * 0.14).round() as i32;
        let right = |index: usize| ((index + 1) as f64 * slot - slot * 0.14).round() as i32;
        area.draw(&PathElement::new(
            vec![(0, bottom as i32), (width as i32, bottom as i32)],
            Tone::Rule.rgb().stroke_width(1),
        ))?;
        for (index, (bar, (from, to))) in bars.iter().zip(&spans).enumerate() {
            let tone = match (bar.kind, bar.value >= 0.0) {
                (BarKind::Level, _) => Tone::Accent,
                (BarKind::Change, true) => Tone::Good,
                (BarKind::Change, false) => Tone::Bad,
            };
            let (upper, lower) = (y(from.max(*to)), y(from.min(*to)));
            // A change too small to see is still drawn as a line.
            area.draw(&Rectangle::new(
                [(left(index), upper), (right(index), lower.max(upper + 2))],
                tone.rgb().filled(),
            ))?;
            if bar.kind == BarKind::Level && floor > 0.0 {
                let cut = bottom as i32 - 10;
                area.draw(&PathElement::new(
                    vec![(left(index), cut + 3), (right(index), cut - 3)],
                    Tone::Paper.rgb().stroke_width(3),
                ))?;
            }
            if index + 1 < bars.len() {
                area.draw(&PathElement::new(
                    vec![(right(index), y(*to)), (left(index + 1), y(*to))],
                    Tone::Rule.rgb().stroke_width(1),
                ))?;
            }
            let middle = (left(index) + right(index)) / 2;
            area.draw_text(
                &bar.shown,
                &font(text, Tone::Ink, HPos::Center, VPos::Bottom),
                (middle, upper - 4),
            )?;
            // Neighbouring labels would meet on a phone: every other one stands lower.
            let drop = if narrow && index % 2 == 1 { 22 } else { 8 };
            area.draw_text(
                &bar.label,
                &font(text, Tone::Quiet, HPos::Center, VPos::Top),
                (middle, bottom as i32 + drop),
            )?;
        }
        Ok(())
    })
}
