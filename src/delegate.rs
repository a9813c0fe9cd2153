//! Commands of other processes, run by the owner of the home: one line of JSON asks, lines of JSON answer.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use atalaya_store::Home;
use clap::Parser;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc,
};

use crate::{
    commands::{self, Cli},
    console::{Console, Terminal},
    context::{Context, standard_input},
};

/// The longest request line: a command line, not data.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    arguments: Vec<String>,
    working_dir: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    Out(String),
    Note(String),
    Progress { label: String, done: u64, total: u64 },
    Exit(u8),
}

/// Has the owner of the home run this process's command. `None` when nobody listens.
/// Standard input follows the request where the command reads it.
pub(crate) async fn ask_owner(home: &Home, sends_input: bool) -> anyhow::Result<Option<ExitCode>> {
    let Ok(stream) = UnixStream::connect(home.socket_path()).await else {
        return Ok(None);
    };
    let request = Request {
        arguments: std::env::args().collect(),
        working_dir: std::env::current_dir()?,
    };
    let (reading, mut writing) = stream.into_split();
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    writing.write_all(line.as_bytes()).await?;
    if sends_input {
        let mut input = standard_input()?;
        tokio::spawn(async move {
            // When the owner goes away, so does whoever reads its answer below.
            let _ = tokio::io::copy(&mut input, &mut writing).await;
            let _ = writing.shutdown().await;
        });
    }
    let terminal = Terminal::new();
    let mut lines = BufReader::new(reading).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Frame::Out(text) => terminal.out(&text),
            Frame::Note(text) => terminal.note(&text),
            Frame::Progress { label, done, total } => terminal.progress(&label, done, total),
            Frame::Exit(code) => return Ok(Some(ExitCode::from(code))),
        }
    }
    anyhow::bail!(
        "the process that serves {} ended before it answered; run the command again",
        home.dir().display()
    )
}

/// Listens for commands until the process ends. The caller holds the home's lock, so a socket file found here is left
/// over from a process that is gone.
pub(crate) fn listen(home: &Home, context: Context) -> anyhow::Result<()> {
    let path = home.socket_path();
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    tokio::spawn(async move {
        // One command at a time: they write to the same tables.
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        while let Ok((stream, _)) = listener.accept().await {
            let (context, turn) = (context.clone(), Arc::clone(&turn));
            tokio::spawn(async move {
                if let Err(error) = answer(stream, context, turn).await {
                    tracing::warn!("a command from another process could not be answered: {error}");
                }
            });
        }
    });
    Ok(())
}

async fn answer(stream: UnixStream, context: Context, turn: Arc<tokio::sync::Mutex<()>>) -> anyhow::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reading = BufReader::new(tokio::io::AsyncReadExt::take(reading, MAX_REQUEST_BYTES));
    reading.read_line(&mut line).await?;
    // What follows is the command's input, and has no end that is known.
    reading.get_mut().set_limit(u64::MAX);
    let request: Request = serde_json::from_str(&line)?;
    let (sender, mut frames) = mpsc::unbounded_channel();
    let running = tokio::spawn(async move {
        let console = Remote { sender: sender.clone() };
        let code = match Cli::try_parse_from(&request.arguments) {
            Ok(cli) => {
                let _turn = match cli.command.writes_through_the_log() {
                    true => None,
                    false => Some(turn.lock().await),
                };
                let context = Context {
                    piped: Arc::new(Mutex::new(Some(Box::new(reading)))),
                    working_dir: request.working_dir,
                    ..context
                };
                commands::run(cli.command, &context, &console)
                    .await
                    .unwrap_or_else(|error| {
                        console.note(&format!("error: {}", commands::told(&error)));
                        2
                    })
            }
            Err(error) => {
                console.note(&error.to_string());
                2
            }
        };
        let _ = sender.send(Frame::Exit(code));
    });
    while let Some(frame) = frames.recv().await {
        let mut line = serde_json::to_string(&frame)?;
        line.push('\n');
        writing.write_all(line.as_bytes()).await?;
    }
    running.await?;
    Ok(())
}

struct Remote {
    sender: mpsc::UnboundedSender<Frame>,
}

impl Console for Remote {
    fn out(&self, text: &str) {
        let _ = self.sender.send(Frame::Out(text.to_owned()));
    }

    fn note(&self, text: &str) {
        let _ = self.sender.send(Frame::Note(text.to_owned()));
    }

    fn progress(&self, label: &str, done: u64, total: u64) {
        let _ = self.sender.send(Frame::Progress {
            label: label.to_owned(),
            done,
            total,
        });
    }
}
