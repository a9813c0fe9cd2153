//! What whole-system tests share: the built command in a home of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A home in a temporary folder.
pub struct Home {
    dir: tempfile::TempDir,
    /// The present, for commands run here.
    pub now: Option<String>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` when it was killed.
    pub code: Option<i32>,
    /// Its result.
    pub out: String,
    /// Its notes.
    pub err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The built program of that name. The system tests run what `cargo build` made; `cargo xtask test` builds it first.
///
/// # Panics
/// When it has not been built.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let found = own.ancestors().map(|dir| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{name} is not built: run `cargo xtask test`, or `cargo build` and `cargo build -p atalaya-duckdb-worker`"
        )
    })
}

/// The folder of real-world samples, or `None` after saying that the test is skipped.
pub fn samples() -> Option<PathBuf> {
    let dir = std::env::var_os("ATALAYA_SAMPLES")
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir());
    if dir.is_none() {
        eprintln!("skipped: no samples");
    }
    dir
}

/// Whether the large numbers were asked for.
pub fn soak() -> bool {
    std::env::var_os("ATALAYA_SOAK").is_some()
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[allow(clippy::expect_used, reason = "tests only")]
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
            now: None,
        }
    }

    /// The home's folder, with letters that a careless address would escape.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("casa ñ #1")
    }

    /// A file beside the home, with this content.
    ///
    /// # Panics
    /// When it cannot be written.
    #[allow(clippy::expect_used, reason = "tests only")]
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("write a file");
        path
    }

    /// The command, to be started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("atalaya"));
        command
            .arg("--home")
            .arg(self.path())
            .args(words)
            .current_dir(self.dir.path());
        command
            .env_remove("ATALAYA_HOME")
            .env_remove("ATALAYA_FAIL_AT")
            .env_remove("ATALAYA_TEST_WRONG_FUNCTION");
        if let Some(now) = &self.now {
            command.env("ATALAYA_NOW", now);
        }
        command
    }

    /// Runs the command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[allow(clippy::expect_used, reason = "tests only")]
    pub fn run(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("start atalaya"))
    }

    /// Runs the command in a shell that was told to limit itself first.
    ///
    /// # Panics
    /// When it cannot be started.
    #[allow(clippy::expect_used, reason = "tests only")]
    pub fn limited(&self, limits: &str, words: &[&str]) -> Said {
        let output = Command::new("bash")
            .args(["-c", &format!("{limits}; exec \"$@\""), "bash"])
            .arg(program("atalaya"))
            .arg("--home")
            .arg(self.path())
            .args(words)
            .output();
        Said::of(output.expect("start atalaya"))
    }

    /// Runs the command and expects success; returns the result.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(
            said.code,
            Some(0),
            "atalaya {words:?} failed:\n{}\n{}",
            said.err,
            said.out
        );
        said.out
    }

    /// Imports a file as a kind.
    pub fn import(&self, path: &Path, kind: &str) -> Said {
        self.run(&["import", &path.to_string_lossy(), "--as", kind])
    }
}
