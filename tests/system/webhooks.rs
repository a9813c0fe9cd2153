//! Webhooks of vendors: taken once, and only when they are the vendor's.

use atalaya_model::Kind;
use atalaya_store::table_schema;
use atalaya_tests::Home;
use base64::Engine as _;
use hmac::{Hmac, Mac as _, digest::KeyInit};
use reqwest::{Client, StatusCode};
use sha2::Sha256;

use crate::{
    owner::serve,
    receivers::{answer, stored},
};

/// Signs as the vendors do; that their own examples verify is tested beside the code.
fn hmac_sha256(secret: &str, message: &str, encoding: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    let bytes = mac.finalize().into_bytes();
    match encoding {
        "hex" => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => base64::engine::general_purpose::STANDARD.encode(bytes),
    }
}

const VENDORS: &str = r#"
[[source]]
name = "billing"
protocol = "stripe"
key_variable = "STRIPE_SECRETS"

[[source]]
name = "code"
protocol = "github"
key_variable = "WEB_KEY"

[[source]]
name = "crm"
protocol = "hubspot"
key_variable = "WEB_KEY"
public_url = "https://kpi.example.com/v1/webhooks/crm"

[[source]]
name = "oncall"
protocol = "pagerduty"
key_variable = "STRIPE_SECRETS"

[[source]]
name = "shop2"
protocol = "hmac"
key_variable = "WEB_KEY"
[source.hmac]
header = "X-Shop-Hmac"
encoding = "base64"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_land_once_and_only_when_they_are_the_vendors() {
    let mut home = Home::new();
    home.now = Some("2026-03-01T10:00:00Z".to_owned());
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(home.path().join("home.toml"), "").unwrap();
    std::fs::write(home.path().join("sources.toml"), VENDORS).unwrap();
    let variables = [
        ("WEB_KEY", "secret-of-all"),
        ("STRIPE_SECRETS", "whsec_older whsec_newer"),
    ];
    let serving = serve(&home, &["--receive", "127.0.0.1:0"], &variables);
    let client = Client::new();
    let post = |name: &str, headers: Vec<(&str, String)>, body: &str| {
        let url = format!("http://{}/v1/webhooks/{name}", serving.events);
        headers
            .into_iter()
            .fold(client.post(url).body(body.to_owned()), |request, (header, value)| {
                request.header(header, value)
            })
    };
    let now = 1_772_359_200;
    let stripe = |secret: &str, at: i64, body: &str| {
        let signature = hmac_sha256(secret, &format!("{at}.{body}"), "hex");
        post(
            "billing",
            vec![("stripe-signature", format!("t={at},v1={signature}"))],
            body,
        )
    };
    let event = r#"{"id":"evt_1","type":"customer.updated","created":1772000000,"data":{"object":{"id":"cus_1"}}}"#;
    for (request, status) in [
        (stripe("whsec_newer", now, event), StatusCode::OK),
        (stripe("whsec_older", now, event), StatusCode::OK),
        (stripe("whsec_other", now, event), StatusCode::UNAUTHORIZED),
        (stripe("whsec_newer", now - 400, event), StatusCode::UNAUTHORIZED),
        (post("billing", vec![], event), StatusCode::UNAUTHORIZED),
        (post("nobody", vec![], event), StatusCode::NOT_FOUND),
        (stripe("whsec_newer", now, "{\"id\":"), StatusCode::BAD_REQUEST),
    ] {
        let (found, said) = answer(request).await;
        assert_eq!(found, status, "{said}");
        assert!(!said.contains("whsec") && !said.contains("secret-of-all"), "{said}");
    }
    let push = r#"{"ref":"refs/heads/main"}"#;
    let signature = format!("sha256={}", hmac_sha256("secret-of-all", push, "hex"));
    let github = |delivery: &str| {
        let headers = vec![
            ("x-hub-signature-256", signature.clone()),
            ("x-github-delivery", delivery.to_owned()),
            ("x-github-event", "push".to_owned()),
        ];
        post("code", headers, push)
    };
    for delivery in ["d1", "d2", "d1"] {
        assert_eq!(answer(github(delivery)).await.0, StatusCode::OK);
    }
    // One of the signatures is that of a secret that is being changed.
    let page = r#"{"event":{"id":"01E","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":"2026-02-25T10:00:00.000Z","data":{"id":"PG1","incident_key":"k"}}}"#;
    let pagerduty = |secrets: &[&str], body: &str| {
        let signatures = secrets
            .iter()
            .map(|secret| format!("v1={}", hmac_sha256(secret, body, "hex")));
        let signatures = signatures.collect::<Vec<_>>().join(",");
        post("oncall", vec![("x-pagerduty-signature", signatures)], body)
    };
    for (request, status) in [
        (pagerduty(&["somebody", "whsec_newer"], page), StatusCode::OK),
        (pagerduty(&["whsec_older"], page), StatusCode::OK),
        (pagerduty(&["somebody"], page), StatusCode::UNAUTHORIZED),
        (pagerduty(&[], page), StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(answer(request).await.0, status);
    }
    let batch = r#"[{"portalId":1,"subscriptionId":2,"eventId":3,"objectId":4,"occurredAt":1772000000000,"subscriptionType":"contact.creation"},{"portalId":1,"subscriptionId":2,"eventId":3,"objectId":5,"occurredAt":1772000000000,"subscriptionType":"contact.creation"}]"#;
    let sent = (now * 1000).to_string();
    let message = format!("POSThttps://kpi.example.com/v1/webhooks/crm{batch}{sent}");
    let headers = vec![
        (
            "x-hubspot-signature-v3",
            hmac_sha256("secret-of-all", &message, "base64"),
        ),
        ("x-hubspot-request-timestamp", sent),
    ];
    assert_eq!(answer(post("crm", headers, batch)).await.0, StatusCode::OK);
    let headers = vec![("x-shop-hmac", hmac_sha256("secret-of-all", push, "base64"))];
    assert_eq!(answer(post("shop2", headers, push)).await.0, StatusCode::OK);

    let sql = "SELECT source, event_type, object_id, count(*), count(DISTINCT record_key), min(payload) FROM raw_vendor_events
        GROUP BY source, event_type, object_id ORDER BY source, event_type, object_id";
    let found = stored(&home, "vendor_events", table_schema(Kind::VendorEvents), sql).await;
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let (first, second) = batch[1..batch.len() - 1].split_once("},{").unwrap();
    assert_eq!(
        found,
        [
            format!("billing,customer.updated,cus_1,1,1,{}", quoted(event)),
            format!("code,push,,2,2,{}", quoted(push)),
            format!("crm,contact.creation,4,1,1,{}", quoted(&format!("{first}}}"))),
            format!("crm,contact.creation,5,1,1,{}", quoted(&format!("{{{second}"))),
            format!("oncall,incident.acknowledged,PG1,1,1,{}", quoted(page)),
            format!("shop2,,,1,1,{}", quoted(push)),
        ]
    );
    let counted = home.ok(&["sources", "--format", "csv"]);
    let billing = counted.lines().find(|line| line.starts_with("billing,")).unwrap();
    let refused = billing.split(',').nth(6);
    assert_eq!(refused, Some("4"), "{counted}");
}
