//! Taps of Singer: one that is scripted, and the real ones, against a local Stripe and a PostgreSQL of our own.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use atalaya_model::Kind;
use atalaya_store::table_schema;
use atalaya_tests::Home;

use crate::{
    postgres::Cluster,
    receivers::{KEYS, listening, stored},
    stripe::LocalStripe,
};

const SHOP: &str = r#"
[[connection]]
name = "till"
vendor = "singer"
[connection.singer.streams]
orders = "orders.toml"
"#;
const ORDERS: &str = r#"
kind = "orders"
[columns]
customer_id = "buyer"
amount_minor = { column = "total", unit = "major" }
currency = { value = "EUR" }
ordered_at = { column = "at", format = "unix_secs" }
"#;

fn home(connections: &str, mappings: &[(&str, &str)]) -> Home {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(home.path().join("home.toml"), "reporting_currency = 'EUR'\n").unwrap();
    std::fs::write(home.path().join("sources.toml"), connections).unwrap();
    for (name, text) in mappings {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    home
}

/// Pipes lines into the target; its exit code, the states that it said, and what it said beside.
fn pipe(home: &Home, lines: &str, fail_at: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = home.command(&["singer-target", "till"]);
    command.envs(KEYS);
    if let Some(point) = fail_at {
        command.env("ATALAYA_FAIL_AT", point);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who is killed reads no further.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn schema(stream: &str) -> String {
    format!("{{\"type\":\"SCHEMA\",\"stream\":\"{stream}\",\"schema\":{{}},\"key_properties\":[\"id\"]}}\n")
}

fn order(id: u32, total: &str) -> String {
    format!(
        "{{\"type\":\"RECORD\",\"stream\":\"orders\",\"record\":{{\"id\":{id},\"buyer\":\"ana\",\"total\":{total},\"at\":1772000000,\"_sdc_batched_at\":\"now\"}}}}\n"
    )
}

fn state(of: u32) -> String {
    format!("{{\"type\":\"STATE\",\"value\":{{\"bookmarks\":{{\"orders\":{{\"id\":{of}}}}}}}}}\n")
}

async fn totals(home: &Home) -> Vec<String> {
    let sql = "SELECT record_key, amount_minor, operation FROM raw_orders ORDER BY arrival_seq";
    stored(home, "orders", table_schema(Kind::Orders), sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_piped_in_lands_once_and_its_state_is_said_afterwards() {
    let home = home(SHOP, &[("orders.toml", ORDERS)]);
    // A state of nothing comes first, as some taps have it.
    let lines = "{\"type\":\"STATE\",\"value\":{}}\n".to_owned()
        + &schema("orders")
        + &order(1, "12.50")
        + &order(2, "\"a lot\"")
        + &schema("visits")
        + "{\"type\":\"RECORD\",\"stream\":\"visits\",\"record\":{\"id\":\"v\",\"path\":\"/\"}}\n"
        + &state(2);
    let (code, states, said) = pipe(&home, &lines, None);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(states, "{\"bookmarks\":{\"orders\":{\"id\":2}}}\n");
    // The order and three records as they came.
    assert!(said.contains("till: 4 rows new, 0 known, 1 dead letters"), "{said}");
    assert_eq!(totals(&home).await, ["record|orders|1,1250,upsert"]);
    let kept = home.ok(&[
        "sql",
        "SELECT payload FROM vendor_events_known WHERE event_type = 'visits'",
        "--format",
        "csv",
    ]);
    assert_eq!(kept, "payload\n\"{\"\"id\"\":\"\"v\"\",\"\"path\"\":\"\"/\"\"}\"\n");

    // Everything again, with one that changed, changed back, and one that is gone.
    // By its key alone, as a log of changes tells it.
    let deleted =
        "{\"type\":\"RECORD\",\"stream\":\"orders\",\"record\":{\"id\":1,\"_sdc_deleted_at\":\"2026-03-01\"}}\n"
            .to_owned();
    let lines = schema("orders")
        + &order(1, "12.50")
        + &order(2, "7")
        + &order(1, "13")
        + &order(1, "12.5")
        + &deleted
        + &state(3);
    let (code, states, said) = pipe(&home, &lines, None);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(states, "{\"bookmarks\":{\"orders\":{\"id\":3}}}\n");
    let counted = home.ok(&[
        "sql",
        "SELECT record_key, amount_minor FROM orders_known ORDER BY 1",
        "--format",
        "csv",
    ]);
    assert_eq!(counted, "record_key,amount_minor\nrecord|orders|2,700\n");

    // The dead letter can be tried again with a mapping that knows the word.
    let mended = home.file(
        "mended.toml",
        ORDERS.replace("unit = \"major\"", "unit = \"major\", words = { \"a lot\" = \"99\" }"),
    );
    let replayed = home.run(&["dead-letters", "replay", "--mapping", mended.to_str().unwrap()]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    // It was told before the one that stands.
    assert_eq!(totals(&home).await.last().unwrap(), "record|orders|2,9900,upsert");
    let counted = home.ok(&["sql", "SELECT amount_minor FROM orders_known", "--format", "csv"]);
    assert_eq!(counted, "amount_minor\n700\n");

    for (lines, expected) in [
        (
            order(1, "1"),
            "line 1 cannot be read: a record of \"orders\" comes before its schema",
        ),
        ("nonsense\n".to_owned(), "line 1 cannot be read: is no message"),
    ] {
        let (code, states, said) = pipe(&home, &lines, None);
        assert_eq!((code, states.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_never_ahead_of_its_records_wherever_it_is_killed() {
    let home = home(SHOP, &[("orders.toml", ORDERS)]);
    let mut lines = schema("orders");
    // Several pages of it.
    for id in 1..=9_000 {
        lines += &order(id, "1");
        if id % 500 == 0 {
            lines += &state(id);
        }
    }
    let mut kills = 0;
    for point in [
        "before_log_write:1",
        "after_log_write:1",
        "before_log_write:2",
        "after_log_sync:2",
        "none",
    ] {
        let (code, states, said) = pipe(&home, &lines, Some(point));
        let there = totals(&home).await.len();
        let last = states
            .lines()
            .last()
            .and_then(|line| line.rsplit(':').next()?.trim_end_matches('}').parse::<usize>().ok());
        assert!(last.unwrap_or(0) <= there, "{states} {there}");
        kills += u32::from(code.is_none());
        if code.is_some() {
            assert_eq!(code, Some(0), "{said}");
        }
    }
    // Once there is nothing left to be killed at.
    assert!(kills >= 3, "{kills}");
    let mut keys = totals(&home).await;
    assert_eq!(keys.len(), 9_000);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 9_000);

    // Beside a server, the lines go to it and the states come back.
    let serving = listening(&home, SHOP);
    let (code, states, said) = pipe(&home, &(schema("orders") + &order(1, "2") + &state(9_001)), None);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(states, "{\"bookmarks\":{\"orders\":{\"id\":9001}}}\n");
    let counted = home.ok(&["sql", "SELECT sum(amount_minor) FROM orders_known", "--format", "csv"]);
    assert!(counted.ends_with("\n900100\n"), "{counted}");
    drop(serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tap_said_before_it_failed_counts_and_it_goes_on_from_there() {
    // Says what it is asked for behind its state, and fails the first time.
    let tap = r#"
        if grep -qs '"id":5' "$2"; then exit 0; fi
        if grep -qs '"id":4' "$2"; then tail -n 4 lines.jsonl; exit 3; fi
        if [ "$1" = "--state" ]; then grep -q '"id":3' "$2" && tail -n +6 lines.jsonl | head -n 4; exit 0; fi
        head -n 5 lines.jsonl; echo 'out of patience' >&2; exit 3
    "#;
    let connections = "[[connection]]\nname = 'till'\nvendor = 'singer'\n[connection.singer]\ncommand = ['sh', 'tap.sh']\nstreams = { orders = 'orders.toml' }\n";
    // A schema may come again, and what was told before it stays told.
    let lines = [
        schema("orders"),
        order(1, "1"),
        schema("orders"),
        order(1, "3"),
        state(3),
        schema("orders"),
        order(1, "3"),
        order(2, "5"),
        state(4),
        // All of it known, and behind it a state.
        schema("orders"),
        order(2, "5"),
        order(1, "3"),
        state(5),
    ];
    let home = home(
        connections,
        &[
            ("orders.toml", ORDERS),
            ("tap.sh", tap),
            ("lines.jsonl", &lines.concat()),
        ],
    );
    let first = home.run(&["sync", "till"]);
    assert_eq!(first.code, Some(2));
    assert!(
        first.err.contains("it ended with exit status: 3") && first.err.contains("till.log"),
        "{}",
        first.err
    );
    assert!(
        !first.err.contains("out of patience"),
        "it may hold secrets: {}",
        first.err
    );
    assert_eq!(
        totals(&home).await,
        ["record|orders|1,100,upsert", "record|orders|1,300,upsert"]
    );
    let second = home.run(&["sync", "till"]);
    assert!(
        second.err.contains("till: 2 rows new, 0 known, 0 dead letters"),
        "{}",
        second.err
    );
    let counted = home.ok(&[
        "sql",
        "SELECT amount_minor FROM orders_known ORDER BY 1",
        "--format",
        "csv",
    ]);
    assert_eq!(counted, "amount_minor\n300\n500\n");
    // A state counts though nothing before it was new, and the tap failed behind it.
    assert_eq!(home.run(&["sync", "till"]).code, Some(2));
    assert_eq!(home.run(&["sync", "till"]).code, Some(0));

    // A mapping that fits no record is told before any is buried.
    std::fs::write(
        home.path().join("orders.toml"),
        ORDERS.replace("customer_id", "customer"),
    )
    .unwrap();
    let wrong = home.run(&["sync", "till"]);
    assert_eq!(wrong.code, Some(2));
    let told = "connection \"till\": singer.streams: orders: orders.toml: columns.customer: orders has no such column";
    assert!(wrong.err.contains(told), "{}", wrong.err);
}

/// The folder of the fetched taps, or `None` after saying that the test is skipped.
fn taps() -> Option<PathBuf> {
    let dir = std::env::var_os("ATALAYA_TAPS").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("skipped: taps are fetched by `cargo xtask test`");
    }
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_for_any_rest_interface_reads_a_local_stripe() {
    let Some(taps) = taps() else { return };
    let Some(stripe) = LocalStripe::start() else { return };
    for (name, country) in [("Ana", "ES"), ("Bea", "MX")] {
        stripe.customer(name, country).await;
    }
    let config = serde_json::json!({
        "api_url": format!("http://127.0.0.1:{}", stripe.port),
        "headers": { "Authorization": format!("Bearer {}", crate::stripe::KEY) },
        "streams": [{ "name": "customers", "path": "/v1/customers", "records_path": "$.data[*]", "primary_keys": ["id"] }],
    });
    let tap = taps.join("tap-rest-api-msdk/bin/tap-rest-api-msdk");
    let connections = format!(
        "[[connection]]\nname = 'people'\nvendor = 'singer'\n[connection.singer]\ncommand = ['{}', '--config', 'tap.json']\nstreams = {{ customers = 'customers.toml' }}\n",
        tap.display()
    );
    let mapping = "kind = 'customers'\n[columns]\ncustomer_id = 'id'\nname = 'name'\ncreated_at = { column = 'created', format = 'unix_secs' }\n";
    let home = home(
        &connections,
        &[("customers.toml", mapping), ("tap.json", &config.to_string())],
    );
    let sync = || home.run(&["sync", "people"]);
    let first = sync();
    assert_eq!(first.code, Some(0), "{}", first.err);
    assert!(
        first.err.contains("people: 4 rows new, 0 known, 0 dead letters"),
        "{}",
        first.err
    );
    let names = home.ok(&["sql", "SELECT name FROM customers_known ORDER BY 1", "--format", "csv"]);
    assert_eq!(names, "name\nAna\nBea\n");
    assert!(sync().err.contains("people: 0 rows new"));

    // Served, it is asked by itself, and whoever looks sees how that went.
    stripe.customer("Eva", "CL").await;
    let serving = listening(&home, &connections);
    let mut ticker = tokio::time::interval(std::time::Duration::from_millis(100));
    let mut listed = String::new();
    for _ in 0..300 {
        ticker.tick().await;
        listed = home.ok(&["sources", "--format", "csv"]);
        if listed
            .lines()
            .any(|line| line.starts_with("people,2") && line.ends_with(",ok"))
        {
            break;
        }
    }
    // One page, the customer and her record as it came.
    assert!(listed.contains("Z,1,2,0,0,0,0,"), "{listed}");
    // A tap that is not there any more is told.
    std::fs::remove_file(home.path().join("tap.json")).unwrap();
    let failed = sync();
    assert_eq!(failed.code, Some(2));
    let listed = home.ok(&["sources", "--format", "csv"]);
    let people = listed.lines().find(|line| line.starts_with("people,")).unwrap();
    assert!(
        people.contains("failed: singer refuses the tap of") && people.contains("people.log"),
        "{people}"
    );
    drop(serving);
    assert!(!first.err.contains(crate::stripe::KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_for_postgresql_reads_what_changed() {
    let Some(taps) = taps() else { return };
    let Some(cluster) = Cluster::start() else { return };
    cluster.sql("CREATE TABLE orders (id int PRIMARY KEY, buyer text, total numeric(20,2), at bigint)");
    cluster.sql("INSERT INTO orders VALUES (1, 'ana', 12.50, 1772000000), (2, 'bea', 90071992547409.93, 1772000001)");
    let config = serde_json::json!({
        "host": "127.0.0.1", "port": cluster.port, "user": "us", "password": "any", "database": "postgres",
        "filter_schemas": ["public"],
    });
    let tap = taps.join("meltanolabs-tap-postgres/bin/tap-postgres");
    // What it finds is not selected until somebody says so.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    let found = Command::new(&tap)
        .arg("--config")
        .arg(file.path())
        .arg("--discover")
        .output()
        .unwrap();
    let mut catalog: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    for metadata in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        if metadata["breadcrumb"].as_array().unwrap().is_empty() {
            metadata["metadata"]["selected"] = true.into();
        }
    }
    let mut connections = String::new();
    write!(
        connections,
        "[[connection]]\nname = 'shop'\nvendor = 'singer'\n[connection.singer]\ncommand = ['{}', '--config', 'tap.json', '--catalog', 'catalog.json']\nstreams = {{ public-orders = 'orders.toml' }}\n",
        tap.display()
    )
    .unwrap();
    let home = home(
        &connections,
        &[
            ("orders.toml", ORDERS),
            ("tap.json", &config.to_string()),
            ("catalog.json", &catalog.to_string()),
        ],
    );
    let first = home.run(&["sync", "shop"]);
    assert_eq!(
        first.code,
        Some(0),
        "{} {}",
        first.err,
        std::fs::read_to_string(home.path().join("taps/shop.log")).unwrap_or_default()
    );
    assert!(
        first.err.contains("shop: 4 rows new, 0 known, 0 dead letters"),
        "{}",
        first.err
    );
    cluster.sql("UPDATE orders SET total = 8 WHERE id = 2");
    let second = home.run(&["sync", "shop"]);
    assert!(
        second.err.contains("shop: 2 rows new, 0 known, 0 dead letters"),
        "{}",
        second.err
    );
    let counted = home.ok(&[
        "sql",
        "SELECT customer_id, amount_minor FROM orders_known ORDER BY 1",
        "--format",
        "csv",
    ]);
    assert_eq!(counted, "customer_id,amount_minor\nana,1250\nbea,800\n");
}
