//! A vendor's server: what it is asked goes to one function, behind what every vendor may do to whoever asks.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use atalaya_model::{Clock, Kind, ManualClock};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, TimeZone, Utc};
use serde_json::{Value, json};

/// What somebody asked.
pub struct Asked {
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub now: DateTime<Utc>,
}

impl Asked {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn form(&self, name: &str) -> String {
        let found = url_pairs(&self.body).into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).unwrap_or_default()
    }
}

/// What a vendor answers.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body,
        }
    }

    pub fn error(status: u16, message: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: json!({ "message": message }),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// A vendor.
pub trait Vendor: Send + Sync + 'static {
    /// The connection's entry in `sources.toml`, without its key.
    fn connection(&self, url: &str) -> String;
    /// The key of the connection.
    fn key(&self) -> String;
    /// What no message may hold.
    fn secrets(&self) -> Vec<String>;
    /// Answers a question of somebody who is let in.
    fn answer(&self, asked: &Asked) -> Answer;
    /// The kinds that it is mapped to, with the columns to look at.
    fn kinds(&self) -> Vec<(Kind, &'static [&'static str])>;
    /// Adds an object that cannot be mapped.
    fn break_one(&self, now: DateTime<Utc>);
}

/// What happens to a question instead of an answer, by its number from 0.
type Trouble = Box<dyn FnMut(usize, &Asked) -> Option<Answer> + Send>;

pub struct Server {
    pub vendor: Arc<dyn Vendor>,
    pub clock: Arc<ManualClock>,
    pub address: SocketAddr,
    asked: Mutex<Vec<String>>,
    trouble: Mutex<Option<Trouble>>,
}

impl Server {
    pub async fn start(vendor: Arc<dyn Vendor>) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            vendor,
            clock: Arc::new(ManualClock::new(start())),
            address: listener.local_addr().unwrap(),
            asked: Mutex::default(),
            trouble: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// How many questions there were.
    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// From now on, questions are counted anew and this may happen to them.
    pub fn trouble(&self, trouble: impl FnMut(usize, &Asked) -> Option<Answer> + Send + 'static) {
        self.asked.lock().unwrap().clear();
        *self.trouble.lock().unwrap() = Some(Box::new(trouble));
    }

    pub fn no_trouble(&self) {
        *self.trouble.lock().unwrap() = None;
    }
}

/// When all of this begins.
pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 10, 9, 0, 0).unwrap()
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers = parts.headers.iter();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        query: url_pairs(parts.uri.query().unwrap_or_default()).into_iter().collect(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
        now: server.clock.now(),
    };
    let number = {
        let mut all = server.asked.lock().unwrap();
        all.push(asked.path.clone());
        all.len() - 1
    };
    let trouble = server
        .trouble
        .lock()
        .unwrap()
        .as_mut()
        .and_then(|trouble| trouble(number, &asked));
    let answer = trouble.unwrap_or_else(|| server.vendor.answer(&asked));
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap())
        .header("date", asked.now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body.to_string())).unwrap()
}

/// Names and values of a query or a form.
fn url_pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |part: &str| {
        let mut bytes = Vec::new();
        let mut rest = part.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                }
                other => bytes.push(other),
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}
