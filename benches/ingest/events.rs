//! Segment-shaped events of about one kilobyte, each with its own id.

use std::fmt::Write as _;

/// One event as JSON.
pub(crate) fn event(number: u64) -> String {
    let mut text = String::with_capacity(1100);
    let user = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 50_000;
    let _ = write!(
        text,
        r#"{{"type":"track","event":"Lesson completed","messageId":"msg-{number:012}-{:08x}","userId":"user-{user}","timestamp":"2026-11-20T08:{:02}:{:02}.{:03}Z","properties":{{"lesson":"lesson-{}","course":"ai-for-marketing","duration_secs":{},"score":{}.{},"plan":"pro","device":"phone","experiment":"variant-{}","note":""#,
        number.wrapping_mul(2_654_435_761) as u32,
        number / 60_000 % 60,
        number / 1000 % 60,
        number % 1000,
        number % 97,
        number % 3600,
        number % 100,
        number % 10,
        number % 4,
    );
    // Words and not one letter again and again: what is written must not compress better than life.
    let mut state = number | 1;
    while text.len() < 640 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let _ = write!(text, "{} ", WORDS[(state >> 58) as usize % WORDS.len()]);
    }
    let _ = write!(
        text,
        r#""}},"context":{{"library":{{"name":"@segment/analytics-node","version":"3.1.0"}},"page":{{"url":"https://app.example.com/courses/ai-for-marketing/{}","path":"/courses/ai-for-marketing/{}","referrer":"https://app.example.com/"}},"campaign":{{"source":"newsletter","medium":"email","name":"november"}},"locale":"es-MX","timezone":"America/Mexico_City"}},"integrations":{{}}}}"#,
        number % 97,
        number % 97,
    );
    text
}

const WORDS: [&str; 24] = [
    "lección",
    "webinar",
    "campaña",
    "embudo",
    "cliente",
    "correo",
    "prompt",
    "modelo",
    "ventas",
    "anuncio",
    "público",
    "métrica",
    "cohorte",
    "precio",
    "plan",
    "prueba",
    "documento",
    "plantilla",
    "informe",
    "equipo",
    "mercado",
    "canal",
    "pago",
    "factura",
];
