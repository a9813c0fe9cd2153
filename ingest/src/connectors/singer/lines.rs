//! Lines of a tap, bounded, and whether it is silent for a while.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The longest line.
const MAX_LINE_BYTES: usize = 16 << 20;
/// For so long somebody may say nothing before what was heard is made durable.
const SILENCE: Duration = Duration::from_secs(2);

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// A line that is not empty, with its number from 1.
    Line(u64, String),
    /// Nothing, for a while.
    Silence,
    /// There will be no more.
    End,
}

/// Lines as they come.
pub(super) struct Lines {
    input: Box<dyn AsyncBufRead + Send + Unpin>,
    /// The line that is not whole yet.
    begun: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(super) fn new(input: Box<dyn AsyncBufRead + Send + Unpin>) -> Self {
        Self {
            input,
            begun: Vec::new(),
            number: 0,
        }
    }

    /// The next line; where somebody waits for what was heard before, only for a while.
    pub(super) async fn next(&mut self, somebody_waits: bool) -> std::io::Result<Heard> {
        loop {
            let more = self.input.fill_buf();
            // Looking at what is there takes nothing away, so that giving up loses nothing.
            let found = if somebody_waits {
                match tokio::time::timeout(SILENCE, more).await {
                    Ok(found) => found?,
                    Err(_) => return Ok(Heard::Silence),
                }
            } else {
                more.await?
            };
            let (taken, is_whole) = match found.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (found.len(), found.is_empty()),
            };
            let is_end = found.is_empty();
            self.begun.extend_from_slice(&found[..taken]);
            self.input.consume(taken);
            if self.begun.len() > MAX_LINE_BYTES {
                let reason = format!("line {} is longer than {MAX_LINE_BYTES} bytes", self.number + 1);
                return Err(std::io::Error::other(reason));
            }
            if !is_whole {
                continue;
            }
            let bytes = std::mem::take(&mut self.begun);
            self.number += u64::from(!bytes.is_empty());
            let line = String::from_utf8(bytes)
                .map_err(|_| std::io::Error::other(format!("line {} is not UTF-8", self.number)))?;
            if !line.trim().is_empty() {
                return Ok(Heard::Line(self.number, line.trim().to_owned()));
            }
            if is_end {
                return Ok(Heard::End);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_numbered_and_the_last_needs_no_end() {
        let mut lines = Lines::new(Box::new(&b"a\n\n  b \r\nc"[..]));
        let mut heard = Vec::new();
        while let Heard::Line(number, line) = lines.next(false).await.unwrap() {
            heard.push((number, line));
        }
        assert_eq!(heard, [(1, "a".to_owned()), (3, "b".to_owned()), (4, "c".to_owned())]);
        assert!(Lines::new(Box::new(&b"\xff\n"[..])).next(false).await.is_err());
        let endless = vec![b'x'; MAX_LINE_BYTES + 1];
        assert!(
            Lines::new(Box::new(std::io::Cursor::new(endless)))
                .next(false)
                .await
                .is_err()
        );
    }
}
