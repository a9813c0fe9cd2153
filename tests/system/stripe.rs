//! Stripe, read from a local one: what it tells becomes customers, states, invoices and payments, once, wherever the reading
//! was interrupted.

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use atalaya_model::Kind;
use atalaya_store::table_schema;
use atalaya_tests::Home;
use reqwest::Client;
use serde_json::Value;

use crate::receivers::stored;

pub(crate) const KEY: &str = "sk_test_do_not_print_me";

pub(crate) struct LocalStripe {
    child: Child,
    /// Where it keeps what it was told: by itself it would share a file with every other one on the machine.
    _dir: tempfile::TempDir,
    pub(crate) port: u16,
    client: Client,
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl LocalStripe {
    /// Starts one, or says that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let Some(libraries) = std::env::var_os("ATALAYA_CLIENTS").map(PathBuf::from) else {
            eprintln!("skipped: the local Stripe is fetched by `cargo xtask test`");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/localstripe_here.py");
        let mut child = Command::new(libraries.join("python/bin/python"))
            .arg(script)
            .env("TMPDIR", dir.path())
            .current_dir(dir.path())
            .args(["--port", &port.to_string(), "--from-scratch"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "localstripe ended");
            std::thread::yield_now();
        }
        Some(Self {
            child,
            _dir: dir,
            port,
            client: Client::new(),
        })
    }

    async fn send(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Value {
        let url = format!("http://127.0.0.1:{}/v1/{path}", self.port);
        let request = self
            .client
            .request(method.parse().unwrap(), url)
            .basic_auth(KEY, Some(""))
            .form(form);
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> String {
        self.send("POST", path, form).await["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// A customer who can pay.
    pub(crate) async fn customer(&self, name: &str, country: &str) -> String {
        let id = self
            .post("customers", &[("name", name), ("address[country]", country)])
            .await;
        let card = [
            ("type", "card"),
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2040"),
            ("card[cvc]", "123"),
        ];
        let card = self.post("payment_methods", &card).await;
        self.post(&format!("payment_methods/{card}/attach"), &[("customer", &id)])
            .await;
        self.post(
            &format!("customers/{id}"),
            &[("invoice_settings[default_payment_method]", &card)],
        )
        .await;
        id
    }
}

fn connected(home: &Home, port: u16) {
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(home.path().join("home.toml"), "reporting_currency = 'EUR'\n").unwrap();
    let sources = format!(
        "[[connection]]\nname = 'billing'\nvendor = 'stripe'\nkey_variable = 'STRIPE_KEY'\nbase_url = 'http://127.0.0.1:{port}'\n"
    );
    std::fs::write(home.path().join("sources.toml"), sources).unwrap();
}

fn sync(home: &Home, fail_at: Option<&str>) -> (Option<i32>, String) {
    let mut command = home.command(&["sync", "billing"]);
    command.env("STRIPE_KEY", KEY);
    if let Some(point) = fail_at {
        command.env("ATALAYA_FAIL_AT", point);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !said.contains(KEY) && !String::from_utf8_lossy(&output.stdout).contains(KEY),
        "{said}"
    );
    (output.status.code(), said)
}

/// Syncs until what was done last has been read and nothing is new any more. Events have times in seconds, and those of
/// the second that is running are read in the next one.
async fn settle(home: &Home, stripe: &LocalStripe) {
    let marker = stripe
        .post("products", &[("name", "marker"), ("type", "service")])
        .await;
    for _ in 0..200 {
        let (code, said) = sync(home, None);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(" 0 dead letters"), "{said}");
        let sql = format!("SELECT count(*) FROM vendor_events_known WHERE object_id = '{marker}'");
        let seen = home.ok(&["sql", &sql, "--format", "csv"]);
        if said.contains("billing: 0 rows new") && seen.ends_with("\n1\n") {
            return;
        }
    }
    panic!("there is always something new");
}

/// What the connector made, without what depends on when it was read.
async fn made(home: &Home) -> Vec<String> {
    let mut all = Vec::new();
    for (kind, columns) in [
        (Kind::Customers, "name, country"),
        (
            Kind::Subscriptions,
            "customer_id, item_id, product, plan, status, quantity, unit_price_minor, currency, billing_interval, discount_ppm, valid_from",
        ),
        (
            Kind::InvoiceLines,
            "customer_id, line_id, line_type, amount_minor, currency, subscription_id, service_from_on",
        ),
        (
            Kind::Payments,
            "customer_id, payment_id, payment_type, amount_minor, currency",
        ),
        (Kind::VendorEvents, "event_type, object_id"),
    ] {
        // The markers of `settle` are of their own time.
        let only = match kind {
            Kind::VendorEvents => "WHERE object_id NOT LIKE 'prod_%'",
            _ => "",
        };
        let sql = format!(
            "SELECT {columns}, count(*) FROM raw_{} {only} GROUP BY {columns} ORDER BY {columns}",
            kind.name()
        );
        let found = stored(home, kind.name(), table_schema(kind), &sql).await;
        all.extend(found.into_iter().map(|row| format!("{kind}: {row}")));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stripe_tells_becomes_revenue_once_wherever_reading_was_interrupted() {
    let Some(stripe) = LocalStripe::start() else { return };
    let (ana, bea) = (stripe.customer("Ana", "ES").await, stripe.customer("Bea", "MX").await);
    let product = stripe
        .post("products", &[("name", "Campaigns"), ("type", "service")])
        .await;
    for (id, amount, interval) in [("pro", "2000", "month"), ("year", "12000", "year")] {
        let plan = [
            ("id", id),
            ("product", product.as_str()),
            ("amount", amount),
            ("currency", "eur"),
            ("interval", interval),
            ("name", id),
        ];
        stripe.post("plans", &plan).await;
    }
    let subscribe = |customer: String, plan: &'static str, quantity: &'static str| {
        let stripe = &stripe;
        async move {
            let form = [
                ("customer", customer.as_str()),
                ("items[0][plan]", plan),
                ("items[0][quantity]", quantity),
            ];
            stripe.post("subscriptions", &form).await
        }
    };
    subscribe(ana.clone(), "pro", "2").await;
    subscribe(bea.clone(), "year", "1").await;

    let home = Home::new();
    connected(&home, stripe.port);
    let (code, said) = sync(&home, None);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" 0 dead letters"), "{said}");
    let figure = |home: &Home, metric: &str| {
        let csv = home.ok(&["metric", metric, "--grain", "month", "--format", "csv"]);
        let last = csv.lines().last().unwrap_or_default().to_owned();
        last.split(',').nth(1).unwrap_or_default().to_owned()
    };
    // 2 x 20.00 a month, and 120.00 a year.
    assert_eq!(figure(&home, "mrr"), "5000");
    assert_eq!(figure(&home, "customers"), "2");
    let products = home.ok(&[
        "sql",
        "SELECT DISTINCT product FROM subscriptions_known",
        "--format",
        "csv",
    ]);
    assert_eq!(products, "product\nCampaigns\n");
    let paid = home.ok(&[
        "sql",
        "SELECT payment_type, sum(amount_minor) FROM payments_known GROUP BY 1",
        "--format",
        "csv",
    ]);
    assert!(paid.ends_with("payment,16000\n"), "{paid}");
    home.ok(&["verify"]);

    // Nothing happened: nothing is new, whatever is asked for again.
    settle(&home, &stripe).await;
    assert_eq!(figure(&home, "mrr"), "5000");

    // What changes comes by events: a new customer, money back, and one who goes.
    let eva = stripe.customer("Eva", "CL").await;
    let going = subscribe(eva, "pro", "1").await;
    let charges = stripe.send("GET", "charges?limit=100", &[]).await;
    let charge = charges["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|charge| charge["customer"] == bea.as_str())
        .unwrap();
    stripe
        .post(
            "refunds",
            &[("charge", charge["id"].as_str().unwrap()), ("amount", "2500")],
        )
        .await;
    stripe.send("DELETE", &format!("subscriptions/{going}"), &[]).await;
    settle(&home, &stripe).await;
    assert_eq!(figure(&home, "mrr"), "5000");
    let eva = home.ok(&[
        "sql",
        "SELECT country FROM customers_known WHERE name = 'Eva'",
        "--format",
        "csv",
    ]);
    assert_eq!(eva, "country\nCL\n");
    home.ok(&["verify"]);

    // Killed behind every page: read again, it is what an uninterrupted reading gives.
    let whole = Home::new();
    connected(&whole, stripe.port);
    settle(&whole, &stripe).await;
    let expected = made(&whole).await;
    assert!(
        expected.iter().any(|row| row.contains("refund,-2500,EUR")),
        "{expected:#?}"
    );
    let interrupted = Home::new();
    connected(&interrupted, stripe.port);
    let mut kills = 0;
    for point in ["before_log_write:1", "after_log_write:1", "after_log_sync:1"]
        .iter()
        .cycle()
    {
        let (code, said) = sync(&interrupted, Some(point));
        if code == Some(0) {
            break;
        }
        assert_eq!(code, None, "{said}");
        kills += 1;
        // A step that is never passed again would be killed for ever: every second time nobody kills.
        if kills > 12 {
            assert_eq!(sync(&interrupted, None).0, Some(0));
            break;
        }
    }
    assert!(kills > 6);
    settle(&interrupted, &stripe).await;
    settle(&whole, &stripe).await;
    let expected = made(&whole).await;
    assert_eq!(made(&interrupted).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_cannot_be_read_is_told_without_its_key() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    connected(&home, free.local_addr().unwrap().port());
    drop(free);
    let (code, said) = sync(&home, None);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("billing: stripe cannot answer /v1/products now"),
        "{said}"
    );
    let nobody = home.run(&["sync", "crm"]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.err.contains("STRIPE_KEY"), "{}", nobody.err);
}
