//! The board's own words in both languages. Names of metrics come with their definitions.

use atalaya_model::{Language, ProofState};

pub(crate) fn proof(language: Language, state: ProofState) -> (&'static str, &'static str) {
    match state {
        ProofState::Checked => (
            language.pick("✓ proven", "✓ probado"),
            language.pick(
                "Identities hold and two engines gave the same figures.",
                "Las identidades se cumplen y dos motores dan las mismas cifras.",
            ),
        ),
        ProofState::Pending => (
            language.pick("proof pending", "prueba pendiente"),
            language.pick(
                "Identities hold; the second engine has not answered yet.",
                "Las identidades se cumplen; el segundo motor aún no ha respondido.",
            ),
        ),
        ProofState::Failed => (
            language.pick("✗ not proven", "✗ no probado"),
            language.pick(
                "A check disagrees. Do not use this figure.",
                "Una comprobación no coincide. No use esta cifra.",
            ),
        ),
    }
}

pub(crate) fn movement(language: Language, name: &str) -> &str {
    match name {
        "new" => language.pick("New", "Nuevo"),
        "reactivation" => language.pick("Back", "Retorno"),
        "expansion" => language.pick("Expansion", "Expansión"),
        "contraction" => language.pick("Contraction", "Contracción"),
        "churn" => language.pick("Churn", "Cancelación"),
        "fx" => language.pick("FX", "Divisa"),
        "restatement" => language.pick("Restated", "Reexpresión"),
        "transfer_in" => language.pick("Moved in", "Entrada"),
        "transfer_out" => language.pick("Moved out", "Salida"),
        other => other,
    }
}

/// The order in which movements are told.
pub(crate) const MOVEMENTS: [&str; 7] = [
    "new",
    "reactivation",
    "expansion",
    "contraction",
    "churn",
    "fx",
    "restatement",
];
