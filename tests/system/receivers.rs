//! Sources push events; what was acknowledged is in every figure at once, and hostile requests are refused in bounded memory.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use atalaya_engine::EngineSession;
use atalaya_model::Kind;
use atalaya_store::{Snapshot, dead_letter_batch, table_schema};
use atalaya_tests::Home;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::owner::{Serving, serve};

const SOURCES: &str = r#"
[[source]]
name = "web"
protocol = "segment"
key_variable = "WEB_KEY"

[[source]]
name = "shop"
protocol = "records"
key_variable = "SHOP_KEY"

[[source]]
name = "bus"
protocol = "cloud_events"
key_file = "bus.key"
"#;
pub(crate) const KEYS: [(&str, &str); 2] = [("WEB_KEY", "web-key-123"), ("SHOP_KEY", "shop-key-123")];

/// A home that takes events from three sources.
pub(crate) fn listening(home: &Home, intake: &str) -> Serving {
    listening_with(home, intake, &[])
}

/// The same with more variables in its environment.
pub(crate) fn listening_with(home: &Home, intake: &str, variables: &[(&str, &str)]) -> Serving {
    listening_at(home, intake, "127.0.0.1:0", variables)
}

/// The same at an address that its clients know.
pub(crate) fn listening_at(home: &Home, intake: &str, address: &str, variables: &[(&str, &str)]) -> Serving {
    listening_as(home, intake, &["--receive", address], variables)
}

/// The same, watching the rules too.
pub(crate) fn listening_with_alerts(home: &Home, intake: &str, variables: &[(&str, &str)]) -> Serving {
    listening_as(home, intake, &["--receive", "127.0.0.1:0", "--with-alerts"], variables)
}

fn listening_as(home: &Home, intake: &str, words: &[&str], variables: &[(&str, &str)]) -> Serving {
    std::fs::create_dir_all(home.path()).unwrap();
    if !home.path().join("home.toml").is_file() {
        std::fs::write(home.path().join("home.toml"), "reporting_currency = 'EUR'\n").unwrap();
    }
    std::fs::write(home.path().join("sources.toml"), format!("{intake}\n{SOURCES}")).unwrap();
    std::fs::write(home.path().join("bus.key"), "bus-key-123\n").unwrap();
    serve(home, words, &[&KEYS[..], variables].concat())
}

/// What a SELECT finds in a table as it lies on disk, every version of every record, after the log was moved there.
pub(crate) async fn stored(home: &Home, table: &str, schema: SchemaRef, sql: &str) -> Vec<String> {
    home.ok(&["flush"]);
    let opened = atalaya_store::Home::open(&home.path()).unwrap();
    let snapshot = Snapshot::latest(&opened).await.unwrap();
    let session = EngineSession::new().unwrap();
    session
        .register_files(table, schema, snapshot.tables.get(table))
        .unwrap();
    let (_, batches) = session.query(sql).await.unwrap();
    let mut csv = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(false).build(&mut csv);
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    drop(writer);
    String::from_utf8(csv).unwrap().lines().map(str::to_owned).collect()
}

struct Sender {
    client: Client,
    base: String,
}

impl Sender {
    fn to(serving: &Serving) -> Self {
        Self {
            client: Client::new(),
            base: format!("http://{}", serving.events),
        }
    }

    fn segment(&self, call: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/{call}", self.base);
        self.client.post(url).basic_auth("web-key-123", Some("")).body(body)
    }

    fn records(&self, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/records/{kind}", self.base);
        self.client.post(url).bearer_auth("shop-key-123").body(body)
    }
}

/// Status and body of an answer.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_every_figure_at_once() {
    let home = Home::new();
    let serving = listening(&home, "");
    let sender = Sender::to(&serving);

    // Canonical records: MRR is there with the answer, on the operator, in SQL and in the second engine.
    let customers = r#"{"customer_id":"ana","country":"ES","created_at":"2026-01-01"}"#;
    let (status, said) = answer(sender.records("customers", customers)).await;
    assert_eq!(
        (status, said.as_str()),
        (
            StatusCode::OK,
            r#"{"rows":1,"duplicates":0,"dead_letters":0,"first_faults":[]}"#
        )
    );
    let state = |status: &str, price: &str, from: &str| {
        json!({"customer_id": "ana", "subscription_id": "s1", "item_id": "i1", "status": status, "unit_price": price,
            "currency": "EUR", "billing_interval": "month", "valid_from": from})
        .to_string()
    };
    let states = [
        state("active", "20.00", "2026-01-10"),
        state("active", "30.00", "2026-02-10"),
    ]
    .join("\n");
    assert_eq!(answer(sender.records("subscriptions", states)).await.0, StatusCode::OK);
    let mrr = |home: &Home| {
        home.ok(&[
            "metric",
            "mrr",
            "--from",
            "2026-01-01",
            "--to",
            "2026-03-01",
            "--format",
            "csv",
        ])
    };
    let figures = mrr(&home);
    assert!(
        figures.contains("2026-01-01,2000") && figures.contains("2026-02-01,3000"),
        "{figures}"
    );
    home.ok(&["verify"]);

    // The same request again is a repetition: rows without a key of their own are told by body and line.
    let order = r#"{"customer_id":"ana","amount":12.5,"currency":"EUR","ordered_at":"2026-02-28T10:00:00Z"}"#;
    for (expected, key) in [
        ((1, 0), None),
        ((0, 1), None),
        ((1, 0), Some("try-1")),
        ((0, 1), Some("try-1")),
    ] {
        let mut request = sender.records("orders", order);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let said: serde_json::Value = serde_json::from_str(&answer(request).await.1).unwrap();
        assert_eq!(
            (said["rows"].as_u64(), said["duplicates"].as_u64()),
            (Some(expected.0), Some(expected.1))
        );
    }
    // Moved into the tables, and after another start, it is the same.
    let sql = "SELECT count(*), sum(amount_minor) FROM raw_orders";
    assert_eq!(
        stored(&home, "orders", table_schema(Kind::Orders), sql).await,
        ["2,2500"]
    );
    assert_eq!(mrr(&home), figures);
    drop(serving);
    let serving = listening(&home, "");
    let said = answer(Sender::to(&serving).records("orders", order)).await.1;
    assert!(said.contains(r#""duplicates":1"#), "{said}");
    assert_eq!(mrr(&home), figures);
    home.ok(&["verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_three_protocols_land_in_one_table() {
    let home = Home::new();
    let serving = listening(&home, "");
    let sender = Sender::to(&serving);
    let batch = json!({"batch": [
        {"type": "track", "event": "Lesson done", "userId": "ana", "messageId": "m1", "timestamp": "2026-03-01T10:00:00Z"},
        {"type": "track", "userId": "ana", "messageId": "m2"},
        {"type": "identify", "userId": "eva", "messageId": "m3", "traits": {"plan": "pro"}},
    ]});
    assert_eq!(
        answer(sender.segment("batch", batch.to_string())).await.0,
        StatusCode::OK
    );
    // As the browser's library sends: plain text, the key in the body, without a preflight's headers.
    let url = format!("{}/v1/t", sender.base);
    let page = r#"{"event":"Clicked","anonymousId":"a1","messageId":"m4","writeKey":"web-key-123"}"#;
    let response = sender
        .client
        .post(&url)
        .header("content-type", "text/plain")
        .body(page)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let preflight = sender
        .client
        .request(reqwest::Method::OPTIONS, &url)
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    let settings = sender
        .client
        .get(format!("{}/v1/projects/web-key-123/settings", sender.base));
    assert!(answer(settings).await.1.contains("Segment.io"));

    let event =
        json!({"specversion": "1.0", "id": "7", "source": "/docs", "type": "doc.made", "time": "2026-03-01T11:00:00Z"});
    let url = format!("{}/v1/cloudevents", sender.base);
    let post = |content_type: &str, body: String| {
        let request = sender
            .client
            .post(&url)
            .bearer_auth("bus-key-123")
            .header("content-type", content_type);
        request.body(body)
    };
    let structured = post("application/cloudevents+json; charset=utf-8", event.to_string());
    assert_eq!(answer(structured).await.0, StatusCode::ACCEPTED);
    let batched = post("application/cloudevents-batch+json", format!("[{event}]"));
    assert_eq!(answer(batched).await.0, StatusCode::ACCEPTED);
    let binary = post("application/json", r#"{"pages":3}"#.to_owned());
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "8"),
        ("ce-source", "/docs"),
        ("ce-type", "doc.made"),
    ]
    .into_iter()
    .fold(binary, |request, (name, value)| request.header(name, value));
    assert_eq!(answer(binary).await.0, StatusCode::ACCEPTED);

    let sql = "SELECT source, record_key, event_type, event_name, user_id, traits FROM raw_product_events ORDER BY arrival_seq";
    let found = stored(&home, "product_events", table_schema(Kind::ProductEvents), sql).await;
    assert_eq!(
        found,
        [
            "web,m1,track,Lesson done,ana,",
            "web,m3,identify,,eva,\"{\"\"plan\"\":\"\"pro\"\"}\"",
            "web,m4,track,Clicked,,",
            "bus,/docs|7,track,doc.made,,",
            "bus,/docs|8,track,doc.made,,",
        ]
    );
    let dead = home.ok(&["dead-letters", "--format", "csv"]);
    assert!(dead.contains("product_events,segment:web,2,event,is missing"), "{dead}");
    // Who did something counts for 30 days: on the first of March and no longer than to the thirtieth.
    let users = |from: &str, to: &str| {
        home.ok(&[
            "metric",
            "active_users",
            "--grain",
            "day",
            "--from",
            from,
            "--to",
            to,
            "--format",
            "csv",
        ])
    };
    let march = users("2026-02-28", "2026-04-01");
    let counts: Vec<&str> = march
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(1))
        .collect();
    let expected = [&["0"][..], &["1"; 30], &["0"]].concat();
    assert_eq!(counts, expected, "{march}");
    let counted = home.ok(&["sources", "--format", "csv"]);
    let counted: Vec<String> = counted
        .lines()
        .map(|line| {
            line.split(',')
                .enumerate()
                // Not by the clock of the machine.
                .filter(|(at, _)| *at != 1)
                .map(|(at, cell)| {
                    if at == 8 && cell.ends_with('Z') {
                        "some time"
                    } else {
                        cell
                    }
                })
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    assert_eq!(
        counted,
        [
            "source,requests,rows,duplicates,dead_letters,refused,put_off,landed_at,state",
            "bus,3,2,1,0,0,0,some time,",
            "shop,0,0,0,0,0,0,,",
            "web,2,3,0,1,0,0,some time,",
        ]
    );
}

/// The most memory the process had at once, in bytes.
fn peak_bytes(serving: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_refused_in_bounded_memory_and_counted() {
    let home = Home::new();
    let serving = listening(&home, "");
    let sender = Sender::to(&serving);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let track = r#"{"userId":"u","event":"x","messageId":"good"}"#;
    assert_eq!(answer(sender.segment("track", track)).await.0, StatusCode::OK);
    let before = peak_bytes(&serving);

    let url = format!("{}/v1/track", sender.base);
    let wrong_key = sender.client.post(&url).basic_auth("web-key-124", Some("")).body(track);
    assert_eq!(answer(wrong_key).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer(sender.client.post(&url).body(track)).await.0,
        StatusCode::UNAUTHORIZED
    );
    let of_another_protocol = sender
        .client
        .post(&url)
        .basic_auth("shop-key-123", Some(""))
        .body(track);
    assert_eq!(answer(of_another_protocol).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(sender.segment("dance", track)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        answer(sender.records("month_closes", "{}")).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(answer(sender.records("dances", "{}")).await.0, StatusCode::NOT_FOUND);

    let bomb = gzip(&vec![b' '; 100 << 20]);
    assert!(bomb.len() < 200 << 10);
    for (request, status, expected) in [
        // Announced and not announced.
        (
            sender.segment("track", vec![b' '; 100 << 20]),
            StatusCode::BAD_REQUEST,
            "8388608 bytes",
        ),
        (
            sender.records("orders", vec![b' '; 100 << 20]),
            StatusCode::PAYLOAD_TOO_LARGE,
            "8388608 bytes",
        ),
        (
            sender.segment("track", bomb.clone()).header("content-encoding", "gzip"),
            StatusCode::BAD_REQUEST,
            "inflated",
        ),
        (
            sender.segment("track", "{}").header("content-encoding", "gzip"),
            StatusCode::BAD_REQUEST,
            "not gzip",
        ),
        (
            sender.segment("track", "{}").header("content-encoding", "br"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "gzip",
        ),
        (
            sender.segment("track", b"{\"userId\":\"\xff\"}".to_vec()),
            StatusCode::BAD_REQUEST,
            "not UTF-8: at byte 11",
        ),
        (sender.segment("track", "{\"userId\":"), StatusCode::BAD_REQUEST, "EOF"),
        (
            sender.segment("batch", "[]"),
            StatusCode::BAD_REQUEST,
            "expected a JSON object with the field `batch`",
        ),
    ] {
        // A sender that is refused before all is read may see the connection close instead of the answer.
        let Ok(response) = request.send().await else { continue };
        assert_eq!(response.status(), status);
        let said = response.text().await.unwrap();
        assert!(said.contains(expected), "{said}");
    }
    // Small bodies that would become large.
    let many = format!(r#"{{"batch":[{}7]}}"#, "7,".repeat(1_000_000));
    let (status, said) = answer(sender.segment("batch", many)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(said.contains("a request may have 20000"), "{said}");
    let (status, said) = answer(sender.records("orders", "7\n".repeat(1_000_000))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(said.contains("a request may have 20000"), "{said}");
    let context = format!(
        r#"{{"context":{{"x":"{}"}},"batch":[{}7]}}"#,
        "x".repeat(1 << 20),
        "7,".repeat(2000)
    );
    assert_eq!(
        answer(sender.segment("batch", context)).await.0,
        StatusCode::BAD_REQUEST
    );
    // Readable and absurd: kept, answered, and nothing is built from it.
    let deep = format!(
        r#"{{"userId":"u","event":"x","properties":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert_eq!(answer(sender.segment("track", deep)).await.0, StatusCode::OK);
    let many: String = (0..2000).map(|field| format!(r#","f{field}":1"#)).collect();
    let wide = format!(r#"{{"userId":"u"{many}}}"#);
    assert_eq!(answer(sender.segment("page", wide)).await.0, StatusCode::OK);
    let sql = "SELECT count(*) FROM raw_product_events";
    assert_eq!(
        stored(&home, "product_events", table_schema(Kind::ProductEvents), sql).await,
        ["1"]
    );
    let letters = dead_letter_batch(&[]).unwrap().schema();
    let sql = "SELECT reason FROM raw_dead_letters ORDER BY arrival_seq";
    let reasons = stored(&home, "dead_letters", letters, sql).await;
    assert!(
        reasons[0].contains("nested deeper") && reasons[1].contains("more than 200 fields"),
        "{reasons:?}"
    );
    assert_eq!(reasons.len(), 2);

    let grown = peak_bytes(&serving).saturating_sub(before);
    assert!(grown < 160 << 20, "grew by {grown} bytes");
    let counted = home.ok(&["sources", "--format", "csv"]);
    let refused: Vec<&str> = counted.lines().filter_map(|line| line.split(',').nth(6)).collect();
    assert_eq!(refused[0], "refused");
    assert!(refused[1..].iter().any(|count| *count != "0"), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_it_leaves_nothing_in_the_log() {
    let home = Home::new();
    let mut serving = listening(&home, "");
    let event = r#"{"userId":"u","event":"x","messageId":"m1"}"#;
    assert_eq!(
        answer(Sender::to(&serving).segment("track", event)).await.0,
        StatusCode::OK
    );
    assert!(serving.terminate());
    assert_eq!(std::fs::read_dir(home.path().join("log")).unwrap().count(), 0);
    assert!(!home.path().join("atalaya.sock").exists());
    let found = home.ok(&["sql", "SELECT record_key FROM product_events_known", "--format", "csv"]);
    assert_eq!(found, "record_key\nm1\n");
}

#[test]
fn listening_needs_sources_and_says_so() {
    let home = Home::new();
    home.import(
        &home.file(
            "first.csv",
            "customer_id,amount,currency,ordered_at\nana,1.00,EUR,2026-01-31\n",
        ),
        "orders",
    );
    let said = home.run(&["serve", "--listen", "127.0.0.1:0", "--receive", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("sources.toml is missing"), "{}", said.err);
    std::fs::write(home.path().join("sources.toml"), SOURCES).unwrap();
    let said = home.run(&["serve", "--listen", "127.0.0.1:0", "--receive", "127.0.0.1:0"]);
    assert!(
        said.err
            .contains("source \"web\": key_variable: the environment has no WEB_KEY"),
        "{}",
        said.err
    );
}
