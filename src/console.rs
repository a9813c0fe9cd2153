//! Where a command's words go: results to standard output, the rest to standard error; or to the process that asked.

use std::{
    io::{IsTerminal, Write},
    sync::Mutex,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A place for results, notes and progress.
pub(crate) trait Console: Send + Sync {
    /// Part of the result.
    fn out(&self, text: &str);
    /// A note, ending in a line break.
    fn note(&self, text: &str);
    /// How far a long step is.
    fn progress(&self, label: &str, done: u64, total: u64);
}

/// The terminal this process was started from.
pub(crate) struct Terminal {
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { bar: Mutex::new(None) }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Console for Terminal {
    fn out(&self, text: &str) {
        // A reader that has gone away (`| head`) is not an error of ours.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    fn note(&self, text: &str) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    fn progress(&self, label: &str, done: u64, total: u64) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let mut held = self.bar();
        let bar = held.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg:20} {bar:40} {percent:>3} %  {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style)
        });
        bar.set_length(total);
        bar.set_message(label.to_owned());
        bar.set_position(done.min(total));
    }
}
