//! A receiver that plays Slack and PagerDuty for the demo, and shows what it was sent: `GET /` lists it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// Requests kept for show.
const KEPT: usize = 200;
/// The largest request that is read.
const MAX_BYTES: usize = 1 << 20;

/// Starts the receiver on a port of the system's choice.
pub(crate) fn start() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let received = Arc::new(Mutex::new(Vec::<String>::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let received = Arc::clone(&received);
            std::thread::spawn(move || {
                let _ = answer(stream, &received);
            });
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, received: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split_whitespace().nth(1).unwrap_or("/").to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length.min(MAX_BYTES)];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut kept = received.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (status, kind, text) = match path.as_str() {
        "/slack" | "/pagerduty/v2/enqueue" | "/pagerduty/enqueue" => {
            println!("  received {path}: {body}");
            kept.push(format!("{path} {body}"));
            let excess = kept.len().saturating_sub(KEPT);
            kept.drain(..excess);
            if path == "/slack" {
                ("200 OK", "text/plain", "ok".to_owned())
            } else {
                (
                    "202 Accepted",
                    "application/json",
                    "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"demo\"}".to_owned(),
                )
            }
        }
        _ => ("200 OK", "text/plain; charset=utf-8", kept.join("\n") + "\n"),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}
