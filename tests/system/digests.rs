//! Opportunities: told together, once a day, and never as a page.

use atalaya_tests::Home;
use serde_json::Value;

use crate::{
    alerts::{events, once, start},
    judges::judge,
};

fn segment(home: &mut Home, name: &str, at: &str) {
    home.now = Some(at.to_owned());
    let day = &at[..10];
    let text = format!("value_name,reported_on,part,words\nmarket_opportunity,{day},{name},{name} in Chile\n");
    home.import(&home.file("segment.csv", text), "reported_values");
}

#[tokio::test(flavor = "multi_thread")]
async fn opportunities_wait_for_the_hour_and_are_told_once_in_one_message() {
    let (vendor, address) = start(vec![]).await;
    let slack = || -> Vec<Value> {
        let received = vendor.received.lock().unwrap();
        received
            .iter()
            .filter(|(_, body)| body["text"].is_string())
            .map(|(_, body)| body.clone())
            .collect()
    };
    let mut home = Home::new();
    segment(&mut home, "Dentists", "2026-03-16T10:00:00Z");
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    segment(&mut home, "Florists", "2026-03-16T18:00:00Z");
    once(&home, &address, "2026-03-16T18:00:00Z").await;
    once(&home, &address, "2026-03-17T07:59:59Z").await;
    assert_eq!(slack().len() + events(&vendor).len(), 0);

    // At nine in Madrid both are told, and later nothing more.
    once(&home, &address, "2026-03-17T08:00:00Z").await;
    once(&home, &address, "2026-03-17T08:01:00Z").await;
    let told = slack();
    assert_eq!((told.len(), events(&vendor).len()), (1, 0), "{told:?}");
    let text = told[0]["text"].as_str().unwrap();
    assert!(
        text.contains("Opportunities: 2 (My company)")
            && text.contains("Dentists in Chile")
            && text.contains("Florists in Chile"),
        "{text}"
    );
    judge(&[("slack", told[0].clone())]);
    let incident = home.ok(&["alerts", "incident", "1"]);
    assert!(incident.contains("told by atalaya: in the digest"), "{incident}");

    segment(&mut home, "Bakers", "2026-03-17T10:00:00Z");
    once(&home, &address, "2026-03-17T10:00:00Z").await;
    assert_eq!(slack().len(), 1);
    once(&home, &address, "2026-03-18T09:30:00Z").await;
    let told = slack();
    let text = told[1]["text"].as_str().unwrap();
    assert!(
        told.len() == 2 && text.contains("Opportunities: 1") && text.contains("Bakers"),
        "{told:?}"
    );
}
