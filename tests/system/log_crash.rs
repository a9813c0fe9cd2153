//! Killed anywhere between a request and its table, under load, with clients that send again: every acknowledged event is
//! there exactly once, and nothing that nobody sent.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use atalaya_model::Kind;
use atalaya_store::table_schema;
use atalaya_tests::{Home, soak};
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::{
    owner::Serving,
    receivers::{KEYS, listening, listening_with, stored},
};

/// Rows are moved into the tables all the time, so that a kill meets every step of it.
pub(crate) const RESTLESS: &str = "[intake]\nflush_at_mb = 1\nflush_after_secs = 1\nkeep_free_mb = 0\n";
const SENDERS: u64 = 6;
/// More requests than any step of the way takes to be reached.
const FAR: u64 = 5000;

/// Clients as real ones are: they send a batch again until it is acknowledged, and sometimes once more after that.
pub(crate) struct Clients {
    next_id: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    /// What was sent and not acknowledged, by sender: sent again first.
    open: Vec<Mutex<Option<Vec<u64>>>>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self {
            next_id: AtomicU64::new(1),
            acknowledged: Mutex::default(),
            open: (0..SENDERS).map(|_| Mutex::default()).collect(),
        }
    }

    /// How many events were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Sends until the server is gone, or until so many requests were acknowledged.
    async fn send(&self, sender: usize, base: &str, seed: u64, requests: u64, done: &AtomicU64) {
        let client = Client::new();
        let mut rng = StdRng::seed_from_u64(seed ^ (sender as u64) << 32);
        while done.load(Ordering::Relaxed) < requests {
            let ids = self.open[sender].lock().unwrap().take().unwrap_or_else(|| {
                let count = rng.random_range(1..20);
                let first = self.next_id.fetch_add(count, Ordering::Relaxed);
                (first..first + count).collect()
            });
            *self.open[sender].lock().unwrap() = Some(ids.clone());
            let padding = "x".repeat(rng.random_range(0..2000));
            let batch: Vec<_> = ids
                .iter()
                .map(|id| {
                    json!({"type": "track", "event": "e", "userId": "u", "messageId": format!("m{id}"), "properties": {"p": padding}})
                })
                .collect();
            // A storm: the same batch twice at once.
            let copies = if rng.random_ratio(1, 4) { 2 } else { 1 };
            let mut sent = Vec::new();
            for _ in 0..copies {
                let request = client
                    .post(format!("{base}/v1/batch"))
                    .basic_auth("web-key-123", Some(""))
                    .json(&json!({ "batch": batch }));
                sent.push(tokio::spawn(request.send()));
            }
            let mut acknowledged = false;
            for answer in sent {
                let Ok(response) = answer.await.unwrap() else { continue };
                match response.status() {
                    StatusCode::OK => acknowledged = true,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("answered {other}"),
                }
            }
            if !acknowledged {
                return;
            }
            self.acknowledged.lock().unwrap().extend(&ids);
            *self.open[sender].lock().unwrap() = None;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// All clients at once, until so many requests were acknowledged or the server is gone.
pub(crate) async fn load(clients: &Arc<Clients>, serving: &Serving, seed: u64, requests: u64) -> u64 {
    let done = Arc::new(AtomicU64::new(0));
    let base = format!("http://{}", serving.events);
    let mut running = Vec::new();
    for sender in 0..SENDERS as usize {
        let (clients, done, base) = (Arc::clone(clients), Arc::clone(&done), base.clone());
        running.push(tokio::spawn(async move {
            clients.send(sender, &base, seed, requests, &done).await
        }));
    }
    for sender in running {
        sender.await.unwrap();
    }
    done.load(Ordering::Relaxed)
}

/// Load that goes on until the server is gone.
pub(crate) fn going_on(clients: &Arc<Clients>, serving: &Serving, seed: u64) -> tokio::task::JoinHandle<()> {
    let (clients, base) = (Arc::clone(clients), format!("http://{}", serving.events));
    tokio::spawn(async move {
        let done = AtomicU64::new(0);
        let senders = (0..SENDERS as usize).map(|sender| clients.send(sender, &base, seed + 1000, u64::MAX, &done));
        futures::future::join_all(senders).await;
    })
}

/// What the tables hold against what was acknowledged and sent.
pub(crate) async fn judge(home: &Home, clients: &Clients) {
    let sql = "SELECT record_key, count(*) AS n FROM raw_product_events GROUP BY record_key ORDER BY record_key";
    let found = stored(home, "product_events", table_schema(Kind::ProductEvents), sql).await;
    let mut landed = BTreeSet::new();
    for line in found {
        let (key, count) = line.split_once(',').unwrap();
        assert_eq!(count, "1", "{key} is there {count} times");
        landed.insert(key.strip_prefix('m').unwrap().parse::<u64>().unwrap());
    }
    let acknowledged = clients.acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.difference(&landed).take(5).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?} ...");
    let sent: BTreeSet<u64> = (1..clients.next_id.load(Ordering::Relaxed)).collect();
    let invented: Vec<_> = landed.difference(&sent).take(5).collect();
    assert!(invented.is_empty(), "invented: {invented:?} ...");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_under_load() {
    let rounds = if soak() { 500 } else { 20 };
    let home = Home::new();
    let clients = Arc::new(Clients::new());
    let mut rng = StdRng::seed_from_u64(5);
    for round in 0..rounds {
        let mut serving = listening(&home, RESTLESS);
        load(&clients, &serving, round, rng.random_range(0..400)).await;
        // The kill falls into the middle of the load that goes on.
        let going_on = going_on(&clients, &serving, round);
        for _ in 0..rng.random_range(0..2000) {
            tokio::task::yield_now().await;
        }
        serving.kill();
        going_on.await.unwrap();
        if round % 7 == 6 {
            judge(&home, &clients).await;
        }
    }
    // What was open is sent again and acknowledged now: then everything that was sent is there.
    let serving = listening(&home, RESTLESS);
    load(&clients, &serving, 99, 30).await;
    judge(&home, &clients).await;
    assert!(clients.acknowledged() > 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_from_request_to_table() {
    let steps = [
        "before_log_write:1",
        "before_log_write:7",
        "after_log_write:1",
        "after_log_write:9",
        "after_log_sync:1",
        "after_log_sync:8",
        "after_data_file:1",
        "before_log_entry:1",
        "after_log_entry:1",
        "before_log_removal:1",
        "after_data_file:2",
        "after_log_entry:2",
    ];
    let home = Home::new();
    let clients = Arc::new(Clients::new());
    for (seed, step) in (0..).zip(steps) {
        let mut serving = listening_with(&home, RESTLESS, &[("ATALAYA_FAIL_AT", step)]);
        let acknowledged = load(&clients, &serving, seed, FAR).await;
        assert!(acknowledged < FAR, "{step} was not reached");
        serving.wait();
        judge(&home, &clients).await;
    }
    let serving = listening(&home, RESTLESS);
    load(&clients, &serving, 99, 30).await;
    judge(&home, &clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_stops_the_start_and_a_torn_end_does_not() {
    let home = Home::new();
    let clients = Arc::new(Clients::new());
    let quiet = "[intake]\nkeep_free_mb = 0\n";
    let mut serving = listening(&home, quiet);
    load(&clients, &serving, 1, 40).await;
    serving.kill();
    let log = home.path().join("log/00000000000000000001.log");
    let sound = std::fs::read(&log).unwrap();

    // A bit of an acknowledged group flips: nothing starts, nothing reads figures without it, and the file is named.
    let mut damaged = sound.clone();
    damaged[4096 + 200] ^= 1;
    std::fs::write(&log, &damaged).unwrap();
    for words in [
        &["flush"][..],
        &["metric", "revenue"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let output = home.command(words).envs(KEYS).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            said.contains("00000000000000000001.log: at byte 4096: an acknowledged group is damaged"),
            "{said}"
        );
    }
    // A group that was cut off was never acknowledged.
    let end = sound.iter().rposition(|byte| *byte != 0).unwrap();
    let next_block = (end + 1).next_multiple_of(4096);
    let mut torn = sound;
    torn[next_block..next_block + 300].fill(7);
    std::fs::write(&log, &torn).unwrap();
    let serving = listening(&home, quiet);
    load(&clients, &serving, 2, 10).await;
    judge(&home, &clients).await;
}
