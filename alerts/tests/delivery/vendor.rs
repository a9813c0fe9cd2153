//! A vendor at its worst, over a real socket.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Chance that is the same in every run.
pub struct Chance(pub u64);

impl Chance {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub action: String,
    /// Whether the vendor acted on it.
    pub is_taken: bool,
    /// Whether a whole answer went back to somebody who was still there.
    pub is_answered: bool,
}

struct State {
    log: Vec<Entry>,
    chance: Chance,
    is_well: bool,
    /// Requests until whoever asks dies.
    dies_after: Option<u64>,
}

#[derive(Clone)]
pub struct Vendor {
    pub address: String,
    state: Arc<Mutex<State>>,
    death: Arc<Notify>,
}

impl Vendor {
    pub async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                log: Vec::new(),
                chance: Chance(seed),
                is_well: false,
                dies_after: None,
            })),
            death: Arc::new(Notify::new()),
        };
        let serving = vendor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let vendor = serving.clone();
                tokio::spawn(async move {
                    // Who hangs up is served no further.
                    let _ = vendor.serve(stream).await;
                });
            }
        });
        vendor
    }

    pub fn log(&self) -> Vec<Entry> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().is_well = true;
    }

    pub fn dies_after(&self, requests: Option<u64>) {
        self.state.lock().unwrap().dies_after = requests;
    }

    /// When whoever asks is to die.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let Some((body, end)) = whole(&bytes) else {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk).await? {
                    0 => return Ok(()),
                    read => bytes.extend_from_slice(&chunk[..read]),
                }
                continue;
            };
            let event: serde_json::Value = serde_json::from_slice(&body)?;
            bytes.drain(..end);
            let (answer, goes_on) = self.decide(&event);
            let Some(answer) = answer else {
                // The process is dead before it hears anything.
                self.death.notify_one();
                std::future::pending::<()>().await;
                return Ok(());
            };
            stream.write_all(answer.as_bytes()).await?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// The answer, `None` for one that nobody lives to hear, and whether the connection goes on.
    fn decide(&self, event: &serde_json::Value) -> (Option<String>, bool) {
        let mut state = self.state.lock().unwrap();
        let mut entry = Entry {
            key: event["dedup_key"].as_str().unwrap().to_owned(),
            action: event["event_action"].as_str().unwrap().to_owned(),
            is_taken: true,
            is_answered: true,
        };
        let full = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\n{more}content-length: 2\r\n\r\n{{}}");
        let dies = match &mut state.dies_after {
            Some(1) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let dice = state.chance.below(100);
        let (answer, goes_on) = if dies {
            state.dies_after = None;
            entry.is_taken = dice < 50;
            entry.is_answered = false;
            (None, false)
        } else if state.is_well || dice < 60 {
            (Some(full("202 Accepted", "")), true)
        } else if dice < 72 {
            entry.is_taken = false;
            let secs = 1 + state.chance.below(5);
            (
                Some(full("429 Too Many Requests", &format!("retry-after: {secs}\r\n"))),
                true,
            )
        } else if dice < 84 {
            entry.is_taken = false;
            (Some(full("503 Service Unavailable", "")), true)
        } else {
            // It hangs up: before it acts, after it, or in the middle of its answer.
            entry.is_taken = dice >= 90;
            entry.is_answered = false;
            let half = if dice >= 95 {
                "HTTP/1.1 202 Accepted\r\ncontent-le"
            } else {
                ""
            };
            (Some(half.to_owned()), false)
        };
        state.log.push(entry);
        (answer, goes_on)
    }
}

/// The body of the first whole request, and where it ends.
fn whole(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
    let body = bytes.get(head..head + length)?;
    Some((body.to_vec(), head + length))
}
