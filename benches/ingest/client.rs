//! A sender that costs little: requests are bytes made before, answers are read to their end and looked at.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What one connection is to send, and when.
pub(crate) struct Load {
    pub(crate) requests: Arc<Vec<Vec<u8>>>,
    /// The first of them, and every how many-th.
    pub(crate) first: usize,
    pub(crate) step: usize,
    /// When the n-th request is due, in microseconds; 0 for as fast as answers come.
    pub(crate) every_micros: u64,
}

/// Makes the bytes of a request.
pub(crate) fn request(body: &str) -> Vec<u8> {
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nhost: bench\r\nauthorization: Basic YmVuY2gta2V5LTEyMzo=\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Sends over one connection; returns for each request how long its acknowledgement took, in microseconds.
pub(crate) async fn send(address: SocketAddr, load: Load, began: Instant) -> anyhow::Result<Vec<u64>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut waits = Vec::new();
    let mut buffer = vec![0; 4096];
    for index in (load.first..load.requests.len()).step_by(load.step) {
        let due = began + std::time::Duration::from_micros(load.every_micros * index as u64);
        if load.every_micros > 0 {
            tokio::time::sleep_until(due.into()).await;
        }
        // From when it was due: what waits for its turn waits too.
        let started = if load.every_micros > 0 { due } else { Instant::now() };
        stream.write_all(&load.requests[index]).await?;
        let mut read = 0;
        loop {
            let count = stream.read(&mut buffer[read..]).await?;
            if count == 0 {
                bail!("the connection was closed");
            }
            read += count;
            let text = std::str::from_utf8(&buffer[..read]).context("an answer is no text")?;
            if let Some(head) = text.find("\r\n\r\n") {
                let length = text[..head]
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
                    .unwrap_or(0);
                if read >= head + 4 + length {
                    break;
                }
            }
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            bail!("answered {}", String::from_utf8_lossy(&buffer[..read]));
        }
        waits.push(u64::try_from(started.elapsed().as_micros())?);
    }
    Ok(waits)
}
