use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::ChartError;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A colour by its meaning. Drawn as a marked value first, then written as a variable of the page's style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Ink,
    Quiet,
    Rule,
    Accent,
    Good,
    Bad,
    Paper,
}

const TONES: [(Tone, RGBColor, &str, &str); 7] = [
    (Tone::Ink, RGBColor(1, 0, 1), "#010001", "var(--ink)"),
    (Tone::Quiet, RGBColor(2, 0, 1), "#020001", "var(--quiet)"),
    (Tone::Rule, RGBColor(3, 0, 1), "#030001", "var(--rule)"),
    (Tone::Accent, RGBColor(4, 0, 1), "#040001", "var(--accent)"),
    (Tone::Good, RGBColor(5, 0, 1), "#050001", "var(--good)"),
    (Tone::Bad, RGBColor(6, 0, 1), "#060001", "var(--bad)"),
    (Tone::Paper, RGBColor(7, 0, 1), "#070001", "var(--card)"),
];

impl Tone {
    pub(crate) fn rgb(self) -> RGBColor {
        TONES
            .iter()
            .find(|(tone, ..)| *tone == self)
            .map_or(BLACK, |(_, rgb, ..)| *rgb)
    }
}

pub(crate) fn font(px: f64, tone: Tone, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // plotters divides by 1.24 what it writes as the font's size.
    ("inherit", px * 1.24)
        .into_font()
        .color(&tone.rgb())
        .pos(Pos::new(horizontal, vertical))
}

/// Draws onto a canvas and returns an SVG that scales with its box and says what it shows.
pub(crate) fn svg(
    size: (u32, u32),
    title: &str,
    draw: impl FnOnce(&Area<'_>) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
) -> Result<String, ChartError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area)
            .and_then(|()| area.present())
            .map_err(|error| ChartError(error.to_string()))?;
    }
    let (width, height) = size;
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text = text.replacen(
        &format!("<svg width=\"{width}\" height=\"{height}\" "),
        "<svg role=\"img\" ",
        1,
    );
    if let Some(end) = text.find('>') {
        text.insert_str(end + 1, &format!("<title>{escaped}</title>"));
    }
    for (_, _, marked, variable) in TONES {
        text = text.replace(marked, variable);
    }
    Ok(text)
}
