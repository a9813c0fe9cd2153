//! Singer: taps that others wrote, read as sources like any other. What a tap says stands in lines (`SCHEMA`, `RECORD`,
//! `STATE`); a state is the position behind the records before it, and is made durable in one step with them:
//! <https://github.com/singer-io/getting-started/blob/master/docs/SPEC.md>.

mod lines;
mod message;
mod record;

use std::{collections::BTreeMap, path::PathBuf, process::Stdio};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::AsyncBufRead,
    process::{Child, Command},
};

use super::{Connection, Connector, ConnectorError, Mapped, Page, Surroundings};
use crate::{IngestError, Mapping};
use lines::{Heard, Lines};
use message::Message;
use record::Stream;
pub(crate) use record::text_of;

const VENDOR: &str = "singer";
/// How the identities of records begin.
pub(super) const COMPARED: &str = "record|";
/// Behind so many bytes a state ends a page.
const PAGE_BYTES: usize = 512 << 10;
/// So many bytes or records are a page though no state has come.
const MOST_BYTES: usize = 8 << 20;
const MOST_RECORDS: usize = 20_000;
/// What the rows and dead letters of a page may take: half of what a log takes at once.
const MOST_WEIGHT: usize = 24 << 20;
/// What an object takes beside its words.
const OBJECT_BYTES: usize = 1_000;

/// What a tap has to be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The tap and its arguments, run in the home's folder. Missing where another process pipes a tap into
    /// `atalaya singer-target`.
    #[serde(default)]
    command: Vec<String>,
    /// For each stream that becomes a kind, the file of its mapping, in the home.
    #[serde(default)]
    streams: BTreeMap<String, String>,
    /// The files' mappings, once they were read.
    #[serde(skip)]
    mappings: BTreeMap<String, Mapping>,
}

impl Options {
    /// Reads the mappings; `read` gives a file of the home.
    pub(crate) fn load(&mut self, read: impl Fn(&str) -> Result<String, String>) -> Result<(), (&'static str, String)> {
        for (stream, file) in &self.streams {
            let wrong = |reason: String| ("singer.streams", format!("{stream}: {file}: {reason}"));
            let text = read(file).map_err(|reason| wrong(format!("cannot be read: {reason}")))?;
            let mapping = Mapping::parse(file, &text).map_err(|error| wrong(error.reason()))?;
            let kind = mapping.kind.ok_or_else(|| wrong("names no kind".to_owned()))?;
            mapping.check(kind).map_err(|error| wrong(error.to_string()))?;
            self.mappings.insert(stream.clone(), mapping);
        }
        Ok(())
    }
}

type Input = Box<dyn AsyncBufRead + Send + Unpin>;

/// A tap, and what was heard of it.
pub(super) struct Singer {
    options: Options,
    around: Surroundings,
    dir: PathBuf,
    name: String,
    lines: Option<Lines>,
    child: Option<Child>,
    streams: BTreeMap<String, Stream>,
    /// The newest state whose records are all in pages that were given.
    state: Option<Value>,
    /// The version of the record before: each has a greater one, for two may be of one thing.
    version: i64,
    /// Why nothing more can be heard: told when what was heard before is durable.
    failed: Option<ConnectorError>,
    has_read: bool,
    /// How many states were heard.
    states: u64,
}

impl Singer {
    /// The tap of a connection, which is started when it is read.
    pub(super) fn new(connection: &Connection, options: &Options, around: &Surroundings) -> Self {
        Self {
            options: options.clone(),
            around: around.clone(),
            dir: around.home_dir.join("taps"),
            name: connection.name.clone(),
            lines: None,
            child: None,
            streams: BTreeMap::new(),
            state: None,
            version: 0,
            failed: None,
            has_read: false,
            states: 0,
        }
    }

    /// A tap that somebody else runs.
    pub(super) fn over(connection: &Connection, options: &Options, around: &Surroundings, input: Input) -> Self {
        Self {
            lines: Some(Lines::new(input)),
            // Whoever runs it gave it a state, or none on purpose: another one is not said.
            has_read: true,
            ..Self::new(connection, options, around)
        }
    }

    fn refused(&self, reason: impl ToString) -> ConnectorError {
        ConnectorError::refused(VENDOR, &format!("the tap of {:?}", self.name), reason)
    }

    /// Starts the tap behind the state that was reached. What it says beside goes to a file: it may hold secrets.
    fn start(&mut self, state: Option<&Value>) -> Result<(), ConnectorError> {
        let [program, arguments @ ..] = self.options.command.as_slice() else {
            return Err(self.refused("singer.command is missing: say it, or pipe a tap into `atalaya singer-target`"));
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.around.home_dir);
        if let Some(state) = state {
            let path = self.dir.join(format!("{}.state.json", self.name));
            atalaya_store::write_privately(&path, state.to_string().as_bytes())?;
            command.arg("--state").arg(path);
        }
        let log = self.log();
        atalaya_store::write_privately(&log, b"")?;
        let log = std::fs::OpenOptions::new().append(true).open(&log);
        let log = log.map_err(|error| self.refused(error))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| self.refused(format!("{program} cannot be started: {error}")))?;
        let output = child.stdout.take().ok_or_else(|| self.refused("it has no output"))?;
        self.lines = Some(Lines::new(Box::new(tokio::io::BufReader::with_capacity(
            1 << 16,
            output,
        ))));
        self.child = Some(child);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// How the tap ended. What it said before it ended badly stands.
    async fn ended(&mut self) -> Result<(), ConnectorError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let status = child.wait().await.map_err(|error| self.refused(error))?;
        if status.success() {
            return Ok(());
        }
        let log = self.log();
        Err(self.refused(format!(
            "it ended with {status}; what it said stands in {}",
            log.display()
        )))
    }

    /// Hears one message; a record becomes an object.
    fn hear(&mut self, number: u64, line: &str, now: DateTime<Utc>) -> Result<Option<Mapped>, ConnectorError> {
        let wrong = |reason: String| ConnectorError::Unreadable {
            vendor: VENDOR,
            asked: format!("line {number}"),
            reason,
        };
        match Message::read(line).map_err(wrong)? {
            Message::Schema { stream, keys } => {
                let mapping = self.options.mappings.get(&stream);
                let known = self
                    .streams
                    .entry(stream)
                    .or_insert_with(|| Stream::new(mapping.cloned()));
                known.announce(keys);
                Ok(None)
            }
            Message::Record { stream, record } => {
                let known = self.streams.get_mut(&stream);
                let known = known.ok_or_else(|| wrong(format!("a record of {stream:?} comes before its schema")))?;
                let told = record::Told {
                    source: &self.name,
                    stream: &stream,
                    now,
                    version: now.timestamp_micros().max(self.version + 1),
                };
                let object = known.object(&told, record, &self.around);
                self.version = object.as_ref().map_or(self.version, |(_, version)| *version);
                Ok(object.map(|(object, _)| object))
            }
            // Some taps begin with a state of nothing; it must not undo what was reached.
            Message::State(value) => {
                if value.as_object().is_none_or(|fields| !fields.is_empty()) && !value.is_null() {
                    self.states += 1;
                    self.state = Some(value);
                }
                Ok(None)
            }
            Message::Other(kind) => {
                tracing::debug!("{}: a message of type {kind} is passed over", self.name);
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl Connector for Singer {
    async fn check(&mut self, now: DateTime<Utc>) -> Result<String, ConnectorError> {
        self.start(None)?;
        let Some(lines) = &mut self.lines else {
            return Err(self.refused("it has no output"));
        };
        let heard = lines.next(false).await;
        match heard.map_err(|error| self.refused(error))? {
            Heard::Line(number, line) => drop(self.hear(number, &line, now)?),
            Heard::Silence | Heard::End => {
                self.ended().await?;
                return Err(self.refused("it ended and said nothing"));
            }
        }
        let program = self.options.command.first().map_or("tap", String::as_str);
        Ok(format!("singer's {program} speaks"))
    }

    fn moves_with_every_page(&self) -> bool {
        false
    }

    async fn read(&mut self, position: Option<&str>, now: DateTime<Utc>) -> Result<Page, ConnectorError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if !self.has_read {
            let state: Option<Value> = super::connector::position(VENDOR, position)?;
            self.state = state.filter(|state| !state.is_null());
            self.has_read = true;
        }
        if self.lines.is_none() {
            let state = self.state.clone();
            self.start(state.as_ref())?;
        }
        self.streams.values_mut().for_each(Stream::begin_page);
        let mut objects = Vec::new();
        let states = self.states;
        // Records behind the last state of a page come again when the next page is lost; they are known by their keys.
        let is_last = match self.page(&mut objects, now).await {
            Ok(is_last) => is_last,
            Err(error) if objects.is_empty() && self.states == states => return Err(error),
            // What was heard before counts; a state does too where all records before it were known.
            Err(error) => {
                self.failed = Some(error);
                false
            }
        };
        super::connector::page(VENDOR, objects, &self.state.clone().unwrap_or(Value::Null), is_last)
    }
}

impl Singer {
    /// Hears a page; whether it is the last.
    async fn page(&mut self, objects: &mut Vec<Mapped>, now: DateTime<Utc>) -> Result<bool, ConnectorError> {
        let mut bytes = 0;
        let mut records = 0;
        let mut weight = 0;
        loop {
            let Some(lines) = &mut self.lines else { return Ok(true) };
            let heard = lines.next(bytes > 0).await;
            match heard.map_err(|error| self.refused(error))? {
                Heard::Line(number, line) => {
                    bytes += line.len();
                    records += 1;
                    let before = self.states;
                    if let Some(object) = self.hear(number, &line, now)? {
                        let unfit = object.told.unfit.iter();
                        let letters: usize = unfit.map(|unfit| unfit.row.len() + unfit.mapping.len()).sum();
                        weight += 2 * object.payload.len() + letters + OBJECT_BYTES;
                        objects.push(object);
                    }
                    let is_state = self.states > before;
                    let is_much = bytes >= MOST_BYTES || records >= MOST_RECORDS || weight >= MOST_WEIGHT;
                    if is_much || (is_state && bytes >= PAGE_BYTES) {
                        return Ok(false);
                    }
                }
                Heard::Silence => return Ok(false),
                Heard::End => {
                    self.ended().await?;
                    return Ok(true);
                }
            }
        }
    }
}

/// Why a connection cannot be piped into.
pub(super) fn options(connection: &Connection) -> Result<&Options, IngestError> {
    match &connection.vendor {
        super::connection::Vendor::Singer(options) => Ok(options),
        _ => {
            let reason = "only a connection of vendor singer can be piped into";
            Err(ConnectorError::refused(VENDOR, &format!("{:?}", connection.name), reason).into())
        }
    }
}
