//! The board in a real browser, beside the figures of the command line.

use std::process::Command;

use atalaya_tests::Home;

use crate::owner::serve;

fn get(address: &str, path: &str) -> (u16, String) {
    let output = Command::new("curl")
        .args(["-s", "-w", "\n%{http_code}", &format!("http://{address}{path}")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn the_api_answers_and_refuses_clearly() {
    let mut home = Home::new();
    home.now = Some("2026-11-01T08:00:00Z".to_owned());
    home.ok(&["demo", "--generate-only", "--customers", "300"]);
    let serving = serve(&home, &[], &[]);
    let at = |path: &str| get(&serving.address, path);
    assert_eq!(at("/healthz").0, 200);
    let (status, body) = at("/api/v1/series?metric=mrr&from=2026-09-01&to=2026-10-01");
    assert_eq!(status, 200);
    let series: serde_json::Value = serde_json::from_str(&body).unwrap();
    let csv = home.ok(&[
        "metric",
        "mrr",
        "--from",
        "2026-09-01",
        "--to",
        "2026-10-01",
        "--format",
        "csv",
    ]);
    assert_eq!(
        csv.lines().last().unwrap().split(',').nth(1).unwrap(),
        series["points"][0]["figure"]["value_minor"].to_string()
    );
    for (path, status, word) in [
        ("/api/v1/series?metric=nothing", 400, "there is no metric"),
        ("/api/v1/series?metric=mrr&grain=decade", 400, "unknown grain"),
        ("/api/v1/series?metric=mrr&by=colour", 400, "cannot be split"),
        ("/api/v1/series?metric=mrr&from=1000-01-01", 400, "40 years"),
        ("/api/v1/series?metric=mrr&surprise=1", 400, "unknown field"),
        ("/api/v1/series", 400, "metric"),
        ("/nothing", 404, "nothing here"),
    ] {
        let (found, body) = at(path);
        assert!(found == status && body.contains(word), "{path}: {found} {body}");
    }
    let (_, document) = at("/api/v1/openapi.json");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    for path in document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|path| !path.ends_with("events"))
    {
        let path = if path.ends_with("series") {
            format!("{path}?metric=mrr")
        } else {
            path.clone()
        };
        assert_eq!(at(&path).0, 200, "{path} is documented");
    }
    let foreign = Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "Host: evil.example",
            &format!("http://{}/healthz", serving.address),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&foreign.stdout), "421");
}

#[test]
fn a_browser_shows_the_same_figures_and_hears_of_commits() {
    let (Some(browser), Some(driver)) = (
        std::env::var_os("ATALAYA_BROWSER"),
        std::env::var_os("ATALAYA_BROWSER_DRIVER"),
    ) else {
        eprintln!("skipped: no browser; `cargo xtask test` brings one");
        return;
    };
    let mut home = Home::new();
    home.now = Some("2026-11-01T08:00:00Z".to_owned());
    home.ok(&["demo", "--generate-only", "--customers", "300"]);
    let serving = serve(&home, &[], &[]);
    let csv = home.ok(&["metric", "mrr", "--format", "csv"]);
    let mrr = csv.lines().last().unwrap().split(',').nth(1).unwrap().to_owned();
    let late = home.file(
        "late.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\nnew,s,i,active,1000,USD,month,2026-10-31T10:00:00Z\n",
    );
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/board.cjs"))
        .env("DRIVER", driver)
        .env("BROWSER", browser)
        .env("ADDRESS", format!("http://{}", serving.address))
        .env("MRR_MINOR", &mrr)
        .env("MRR_AFTER_MINOR", (mrr.parse::<i64>().unwrap() + 100_000).to_string())
        .env(
            "IMPORT",
            serde_json::to_string(&[
                atalaya_tests::program("atalaya").to_string_lossy().as_ref(),
                "--home",
                &home.path().to_string_lossy(),
                "import",
                &late.to_string_lossy(),
                "--as",
                "subscriptions",
            ])
            .unwrap(),
        )
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
