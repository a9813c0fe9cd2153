//! The real client libraries, pointed at us: everything they send is there once, also across a server that is killed.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use atalaya_model::Kind;
use atalaya_store::table_schema;
use atalaya_tests::Home;

use crate::receivers::{listening, listening_at, stored};

/// The folder of the fetched libraries, or `None` after saying that the test is skipped.
fn libraries() -> Option<PathBuf> {
    let dir = std::env::var_os("ATALAYA_CLIENTS")
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir());
    if dir.is_none() {
        eprintln!("skipped: the client libraries are fetched by `cargo xtask test`");
    }
    dir
}

fn start(libraries: &Path, script: &str, arguments: &[&str]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let program = match script.extension().and_then(|ending| ending.to_str()) {
        Some("py") => libraries.join("python/bin/python"),
        _ => PathBuf::from("node"),
    };
    Command::new(program)
        .arg(script)
        .args(arguments)
        .env("NODE_PATH", libraries.join("node_modules"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn landed(home: &Home) -> Vec<String> {
    let sql = "SELECT event_type, event_name, user_id, count(*), count(DISTINCT record_key), count(DISTINCT properties)
        FROM raw_product_events GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    stored(home, "product_events", table_schema(Kind::ProductEvents), sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_and_rudderstacks_libraries_deliver_everything_once() {
    let Some(libraries) = libraries() else { return };
    let home = Home::new();
    let serving = listening(&home, "");
    let host = format!("http://{}", serving.events);
    for (script, arguments) in [
        ("segment.cjs", &[host.as_str(), "web-key-123", "0", "17"][..]),
        ("rudderstack.cjs", &[&host, "web-key-123", "17"]),
        ("segment_client.py", &[&host, "web-key-123", "17"]),
    ] {
        let ended = start(&libraries, script, arguments).wait().unwrap();
        assert!(ended.success(), "{script}: {ended}");
    }
    assert_eq!(
        landed(&home).await,
        [
            "alias,,python-user,1,1,0",
            "group,,rudder-user,1,1,0",
            "identify,,node-user,1,1,0",
            "identify,,python-user,1,1,0",
            "page,Pricing,,1,1,1",
            "track,Campaña enviada,python-user,17,17,17",
            "track,Document made,rudder-user,17,17,17",
            "track,Lesson done,node-user,17,17,17",
        ]
    );
    let page = home.ok(&[
        "sql",
        "SELECT page_url FROM product_events_known WHERE event_type = 'page'",
        "--format",
        "csv",
    ]);
    assert_eq!(page, "page_url\nhttps://example.com/pricing\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_server_is_killed_sends_again_and_nothing_is_there_twice() {
    let Some(libraries) = libraries() else { return };
    let home = Home::new();
    let mut serving = listening(&home, "");
    let address = serving.events.clone();
    let host = format!("http://{address}");
    let mut client = start(&libraries, "segment.cjs", &[&host, "web-key-123", "0", "2000"]);
    let mut kills = 0;
    // The server dies whenever some more has come, before its client can have heard of all of it.
    while client.try_wait().unwrap().is_none() && kills < 3 {
        let counted = home.run(&["sources", "--format", "csv"]).out;
        let rows = |text: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix("web,")?.split(',').nth(2)?.parse::<u64>().ok())
        };
        if rows(&counted).unwrap_or(0) > 0 {
            serving.kill();
            kills += 1;
            serving = listening_at(&home, "", &address, &[]);
        }
    }
    assert!(client.wait().unwrap().success());
    assert!(kills > 0);
    drop(serving);
    assert_eq!(
        landed(&home).await.last().unwrap(),
        "track,Lesson done,node-user,2000,2000,2000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_tells_everything_once() {
    let (Some(browser), Some(driver)) = (
        std::env::var_os("ATALAYA_BROWSER"),
        std::env::var_os("ATALAYA_BROWSER_DRIVER"),
    ) else {
        eprintln!("skipped: no browser; `cargo xtask test` brings one");
        return;
    };
    let home = Home::new();
    let serving = listening(&home, "");
    let ended = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/events.cjs"))
        .env("DRIVER", driver)
        .env("BROWSER", browser)
        .env("EVENTS", format!("http://{}", serving.events))
        .status()
        .unwrap();
    assert!(ended.success(), "{ended}");
    let sql = "SELECT event_type, event_name, user_id, group_id, page_path, campaign_name, count(*), count(DISTINCT anonymous_id)
        FROM raw_product_events GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 5";
    assert_eq!(
        stored(&home, "product_events", table_schema(Kind::ProductEvents), sql).await,
        [
            "group,,,acme,/adios,,1,1",
            "identify,,ana,,/lecciones/1,otono,1,1",
            "page,Lecci\u{f3}n,ana,,/adios,,1,1",
            "page,Lecci\u{f3}n,,,/lecciones/1,otono,1,1",
            "page,Lecci\u{f3}n,ana,,/precios,,1,1",
            "track,Left,ana,,/precios,,1,1",
            "track,Lesson done,,,/lecciones/1,otono,1,1",
            "track,While nobody listened,ana,,/lecciones/1,otono,1,1",
        ]
    );
}
