//! The one thread that writes the log: it takes what has come together while the last group was synced, leaves out what is
//! there already, writes the rest as one group, syncs, and only then answers.

use std::{path::PathBuf, sync::Arc, thread::JoinHandle};

use atalaya_model::{Clock, calendar};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{Appended, Logged, Part, Segment, frame::GroupWriter};
use crate::{
    ArrivalSeq, FailPoint, StoreError,
    hot::HotRows,
    seen::{EventKey, LETTERS, Landed, SeenKeys, event_key, letter_key},
};

/// Bytes of a group: what one sync makes durable. More waits for the next, so that the first waiter does not wait long.
const GROUP_BYTES: usize = 4 << 20;

enum Command {
    Append {
        parts: Vec<Part>,
        answer: oneshot::Sender<Result<Appended, StoreError>>,
        _room: OwnedSemaphorePermit,
    },
    /// Begins a new segment and says which segments are behind it.
    Seal(oneshot::Sender<Result<Vec<PathBuf>, StoreError>>),
}

/// What the thread works with.
pub(crate) struct AppenderParts {
    pub(crate) dir: PathBuf,
    pub(crate) next_group: u64,
    /// Segments of earlier runs that hold rows not yet in the tables.
    pub(crate) older: Vec<PathBuf>,
    pub(crate) arrivals: ArrivalSeq,
    pub(crate) seen: SeenKeys,
    pub(crate) hot: Arc<HotRows>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) zone: Tz,
    /// Bytes of the disk that are left alone.
    pub(crate) keep_free_bytes: u64,
}

/// The handle of the log's thread. It ends when the handle is dropped, after what was handed to it.
pub(crate) struct Appender {
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    /// Starts the thread.
    pub(crate) fn start(parts: AppenderParts) -> Result<Self, StoreError> {
        let (commands, waiting) = mpsc::unbounded_channel();
        let dir = parts.dir.clone();
        let thread = std::thread::Builder::new()
            .name("atalaya-log".to_owned())
            .spawn(move || Writer::new(parts).run(waiting))
            .map_err(StoreError::io("start a thread for", dir))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Makes a request durable. `room` is the part of the budget that it takes until then.
    pub(crate) async fn append(&self, parts: Vec<Part>, room: OwnedSemaphorePermit) -> Result<Appended, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Append {
            parts,
            answer,
            _room: room,
        })?;
        answered.await.map_err(|_| ended())?
    }

    /// Begins a new segment; all rows so far are frozen in memory. The answer names the segments that hold them.
    pub(crate) async fn seal(&self) -> Result<Vec<PathBuf>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Seal(answer))?;
        answered.await.map_err(|_| ended())?
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        let commands = self.commands.as_ref().ok_or_else(ended)?;
        commands.send(command).map_err(|_| ended())
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told by the panic itself; everybody who waits gets an error.
            let _ = thread.join();
        }
    }
}

fn ended() -> StoreError {
    StoreError::Log {
        reason: "the thread that writes it has ended".to_owned(),
    }
}

/// One request of a group, to be answered when the group is durable.
struct Waiting {
    appended: Appended,
    parts: Vec<Part>,
    first_seq: i64,
    answer: oneshot::Sender<Result<Appended, StoreError>>,
}

struct Writer {
    parts: AppenderParts,
    segment: Option<Segment>,
    poisoned: Option<String>,
    group: GroupWriter,
}

impl Writer {
    fn new(parts: AppenderParts) -> Self {
        Self {
            parts,
            segment: None,
            poisoned: None,
            group: GroupWriter::default(),
        }
    }

    fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Seal(answer) => {
                        // Nobody waits any more: the flush was given up, and the next one is told of them.
                        if let Err(Ok(paths)) = answer.send(self.seal()) {
                            self.parts.older.extend(paths);
                        }
                    }
                    append @ Command::Append { .. } => next = self.append_group(append, &mut commands),
                }
            }
        }
    }

    fn seal(&mut self) -> Result<Vec<PathBuf>, StoreError> {
        self.check_poison()?;
        if let Some(segment) = self.segment.take() {
            self.parts.older.push(segment.path().to_owned());
        }
        self.parts.hot.freeze()?;
        Ok(std::mem::take(&mut self.parts.older))
    }

    /// Writes one group, beginning with `first`. Returns a command that was taken and is not part of it.
    fn append_group(&mut self, first: Command, commands: &mut mpsc::UnboundedReceiver<Command>) -> Option<Command> {
        let landed_at = self.parts.clock.now();
        let landed_on = calendar::day_of(self.parts.zone, landed_at);
        let landed = Landed {
            at: landed_at,
            on: landed_on,
        };
        let mut waiting = Vec::new();
        let mut remembered = Vec::new();
        let mut permits = Vec::new();
        let mut next = Some(first);
        self.group.clear();
        let after = loop {
            match next.take() {
                Some(Command::Append { parts, answer, _room }) => {
                    let start = remembered.len();
                    match self.frame(parts, landed, &mut remembered) {
                        Ok((appended, parts, first_seq)) => {
                            permits.push(_room);
                            waiting.push(Waiting {
                                appended,
                                parts,
                                first_seq,
                                answer,
                            });
                        }
                        Err(error) => {
                            self.forget(remembered.split_off(start), landed);
                            let _ = answer.send(Err(error));
                        }
                    }
                }
                Some(other) => break Some(other),
                None => break None,
            }
            if self.group.len() >= GROUP_BYTES {
                break None;
            }
            next = commands.try_recv().ok();
        };
        let written = if self.group.is_empty() { Ok(()) } else { self.write() };
        match written {
            Ok(()) => {
                for request in waiting {
                    let shown = self
                        .parts
                        .hot
                        .push(request.parts, request.first_seq, landed_at, landed_on);
                    // Durable and not shown would be a fault of ours: the log is kept, and shows it after the next start.
                    if let Err(error) = &shown {
                        self.poisoned = Some(error.to_string());
                    }
                    let _ = request.answer.send(shown.map(|()| request.appended));
                }
            }
            Err(error) => {
                self.forget(remembered, landed);
                for request in waiting {
                    let _ = request.answer.send(Err(told_to_each(&error)));
                }
            }
        }
        drop(permits);
        after
    }

    /// Adds a request's frame to the group, without the rows that are there already.
    fn frame(
        &mut self,
        mut parts: Vec<Part>,
        landed: Landed,
        remembered: &mut Vec<(String, EventKey)>,
    ) -> Result<(Appended, Vec<Part>, i64), StoreError> {
        self.check_poison()?;
        let mut appended = Appended::default();
        for part in &mut parts {
            match part {
                Part::Letters(letters) => {
                    let before = letters.len();
                    let seen = &mut self.parts.seen;
                    letters.retain(|letter| {
                        let key = letter_key(&letter.id);
                        let is_new = !seen.contains(LETTERS, key);
                        if is_new {
                            seen.insert(LETTERS, key, landed);
                            remembered.push((LETTERS.to_owned(), key));
                        }
                        is_new
                    });
                    appended.letters += letters.len() as u64;
                    appended.known_letters += (before - letters.len()) as u64;
                }
                Part::Rows { kind, rows, once } => {
                    let before = rows.len();
                    if *once {
                        let seen = &mut self.parts.seen;
                        rows.retain(|row| {
                            let (Some(source), Some(key)) = (&row.source, &row.record_key) else {
                                return true;
                            };
                            let key = event_key(*kind, key, row.record_version);
                            if seen.contains(source, key) {
                                return false;
                            }
                            seen.insert(source, key, landed);
                            remembered.push((source.clone(), key));
                            true
                        });
                    }
                    appended.rows += rows.len() as u64;
                    appended.duplicates += (before - rows.len()) as u64;
                }
            }
        }
        // A part of repetitions alone would be a piece without rows.
        parts.retain(|part| part.len() > 0);
        let count = appended.rows + appended.letters;
        if count == 0 {
            return Ok((appended, Vec::new(), 0));
        }
        let first_seq = self.parts.arrivals.reserve(count)?;
        number_rows(&mut parts, first_seq, landed.at);
        let logged = Logged::of(landed.at, first_seq, &parts);
        self.group.frame(|bytes| logged.encode(bytes))?;
        Ok((appended, parts, first_seq))
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.check_poison()?;
        if !self
            .segment
            .as_ref()
            .is_some_and(|segment| segment.has_room(self.group.len()))
        {
            self.check_disk()?;
            let segment = Segment::create(&self.parts.dir, self.parts.next_group, self.group.len())?;
            if let Some(full) = self.segment.replace(segment) {
                self.parts.older.push(full.path().to_owned());
            }
        }
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        FailPoint("before_log_write").pass();
        match segment.append(self.group.finish(self.parts.next_group)) {
            Ok(()) => {
                FailPoint("after_log_sync").pass();
                self.parts.next_group += 1;
                Ok(())
            }
            Err(error) => {
                // Whether the group is durable cannot be known, and asking the same file again may answer wrongly.
                tracing::error!("the log takes no more until the next start: {error}");
                self.poisoned = Some(error.to_string());
                Err(error)
            }
        }
    }

    fn check_poison(&self) -> Result<(), StoreError> {
        match &self.poisoned {
            None => Ok(()),
            Some(reason) => Err(StoreError::Log {
                reason: format!("closed after an error, until the next start: {reason}"),
            }),
        }
    }

    fn check_disk(&self) -> Result<(), StoreError> {
        let space = rustix::fs::statvfs(&self.parts.dir)
            .map_err(|error| StoreError::io("look for space in", &self.parts.dir)(error.into()))?;
        let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
        if free_bytes < self.parts.keep_free_bytes {
            return Err(StoreError::DiskShort {
                dir: self.parts.dir.clone(),
                free_bytes,
                keep_free_bytes: self.parts.keep_free_bytes,
            });
        }
        Ok(())
    }

    fn forget(&mut self, keys: Vec<(String, EventKey)>, landed: Landed) {
        for (source, key) in keys {
            self.parts.seen.remove(&source, key, landed);
        }
    }
}

/// The error of a group for each of its requests, so that a sender is told whether to try again.
fn told_to_each(error: &StoreError) -> StoreError {
    match error {
        StoreError::DiskShort {
            dir,
            free_bytes,
            keep_free_bytes,
        } => StoreError::DiskShort {
            dir: dir.clone(),
            free_bytes: *free_bytes,
            keep_free_bytes: *keep_free_bytes,
        },
        other => StoreError::Log {
            reason: other.to_string(),
        },
    }
}

/// Gives rows without a key one, and dead letters their place in the order of arrival.
fn number_rows(parts: &mut [Part], first_seq: i64, landed_at: DateTime<Utc>) {
    let mut seq = first_seq;
    for part in parts {
        match part {
            Part::Rows { rows, .. } => {
                for row in rows {
                    row.record_key.get_or_insert_with(|| format!("arrival:{seq}"));
                    seq += 1;
                }
            }
            Part::Letters(letters) => {
                for letter in letters {
                    (letter.arrival_seq, letter.landed_at) = (seq, landed_at);
                    seq += 1;
                }
            }
        }
    }
}
