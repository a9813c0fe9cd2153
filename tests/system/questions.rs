//! Questions that nobody has verified, or nobody verifies: each is proved of itself when somebody asks it.

use serde_json::Value;

use crate::{owner::serve, pulse::until, segments::home};

const QUESTIONS: [&[&str]; 7] = [
    &["mrr"],
    &["customers", "--policy", "stripe"],
    &["mrr", "--grain", "week"],
    &["mrr_movement_events", "--by", "country,plan"],
    &["mrr", "--by", "country", "--as-of", "2026-03-15"],
    &["customers", "--known-by", "source", "--as-of", "2026-03-15"],
    &["mrr", "--policy", "stripe", "--grain", "day", "--from", "2026-01-01"],
];

#[test]
fn any_question_is_proved_of_itself_when_it_is_asked_to_be() {
    let home = home();
    for question in QUESTIONS {
        let words = [&["metric"], question].concat();
        let said = home.run(&words);
        assert!(said.err.contains("proof pending"), "{question:?}: {}", said.err);
        let said = home.run(&[&words[..], &["--prove"]].concat());
        assert!(said.err.contains("proof checked"), "{question:?}: {}", said.err);
        // The verdict is kept, for this question alone.
        assert!(home.run(&words).err.contains("proof checked"), "{question:?}");
        let other = [&words[..], &["--to", "2026-03-01"]].concat();
        assert!(home.run(&other).err.contains("proof pending"), "{question:?}");
    }
    // A second engine that answers otherwise is a difference, cell by cell.
    let words = ["metric", "mrr", "--grain", "week", "--by", "country", "--prove"];
    let red = home
        .command(&words)
        .env("ATALAYA_TEST_WRONG_FUNCTION", "muldiv operator")
        .output()
        .unwrap();
    assert_eq!(red.status.code(), Some(1));
    let said = String::from_utf8(red.stderr).unwrap();
    assert!(said.contains("proof failed"), "{said}");
    assert!(
        said.contains("mrr week 2026-03-30 country=MX: DataFusion has"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_board_asks_is_proved_behind_its_answer() {
    let home = home();
    let serving = serve(&home, &[], &[]);
    let question = "metric=mrr&grain=week&by=country,plan&from=2026-01-01&to=2026-04-01";
    let url = format!("http://{}/api/v1/series?{question}", serving.address);
    let mut states = Vec::new();
    until("a proof of the question", async || {
        let answer: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        let state = answer["proof"]["state"].as_str().unwrap().to_owned();
        states.push(state.clone());
        (state == "checked").then_some(())
    })
    .await;
    assert_eq!(states[0], "pending", "{states:?}");
    let url = format!("{url}&as_of=2026-03-15T00:00:00Z");
    until("a proof of the past", async || {
        let answer: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        (answer["proof"]["state"] == "checked").then_some(())
    })
    .await;
}
