use std::path::PathBuf;

use atalaya_model::SeriesQuery;
use atalaya_store::write_atomically;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::MetricsError;

/// What a proof is a proof of: a definition (with all it stands on) over pinned data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofKey {
    /// The definition's hash.
    pub definition_hash: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// Hash of the settings in force and of every file's content.
    pub inputs_hash: String,
    /// The one question that is proved; absent for those that verification asks of every snapshot.
    pub question: Option<String>,
}

impl ProofKey {
    /// The key of a proof of one question alone.
    pub fn of_question(&self, query: &SeriesQuery) -> Self {
        Self {
            question: serde_json::to_string(query).ok(),
            ..self.clone()
        }
    }
}

/// What the second engine said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Differences, one line each; empty when the engines agree.
    pub differences: Vec<String>,
}

/// Verdicts of the second engine, kept in the home. A cache: deleting it makes proofs pending, never wrong.
#[derive(Debug, Clone)]
pub struct Proofs {
    dir: PathBuf,
}

impl Proofs {
    /// The verdicts in a folder.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path(&self, key: &ProofKey) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(key.definition_hash.as_bytes());
        hash.update([0]);
        hash.update(key.snapshot.as_bytes());
        hash.update([0]);
        hash.update(key.inputs_hash.as_bytes());
        if let Some(question) = &key.question {
            hash.update([0]);
            hash.update(question.as_bytes());
        }
        let name: String = hash
            .finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.dir.join(format!("{name}.json"))
    }

    /// The verdict, if the second engine has given one.
    pub fn get(&self, key: &ProofKey) -> Option<Verdict> {
        let text = std::fs::read(self.path(key)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps a verdict.
    pub fn put(&self, key: &ProofKey, verdict: &Verdict) -> Result<(), MetricsError> {
        let text = serde_json::to_vec(verdict).map_err(|error| MetricsError::Contract {
            metric: "proof".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(write_atomically(&self.path(key), &text)?)
    }
}
