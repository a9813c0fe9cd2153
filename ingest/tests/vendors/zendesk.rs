//! Zendesk: ten questions a minute, a cursor that stands on its last object and does not hold for ever, and a last minute
//! that is not given.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use atalaya_model::Kind;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Asked, Server, Vendor, start},
    kit::{Place, comply},
};

const TOKEN: &str = "zd_do_not_print_me";
/// What it gives at most, whatever is asked for.
const PAGE: usize = 80;

#[derive(Default)]
struct Account {
    tickets: Vec<Value>,
    asked_at: VecDeque<DateTime<Utc>>,
    /// How often somebody was too fast.
    refused: usize,
    /// Cursors from before this do not hold any more.
    cursors_from: usize,
}

pub struct Zendesk(Mutex<Account>);

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn ticket(id: i64, changed_at: DateTime<Utc>) -> Value {
    json!({
        "id": id, "requester_id": 7, "organization_id": if id % 2 == 0 { json!(70) } else { Value::Null },
        "subject": "It does not work", "status": "open", "priority": "urgent", "via": { "channel": "email" },
        "created_at": "2026-03-01T10:00:00Z", "updated_at": iso(changed_at), "generated_timestamp": changed_at.timestamp(),
        "tags": ["billing", "es"],
        "slas": { "policy_metrics": [{ "metric": "first_reply_time", "breach_at": "2026-03-01T11:00:00Z" }] },
        "satisfaction_rating": { "score": "good" },
    })
}

impl Zendesk {
    fn new() -> Arc<Self> {
        let at = |id: i64| start() - TimeDelta::days(5) + TimeDelta::seconds(id / 3);
        let tickets = (1..=1_000).map(|id| ticket(id, at(id))).collect();
        Arc::new(Self(Mutex::new(Account {
            tickets,
            ..Account::default()
        })))
    }
}

fn generated(ticket: &Value) -> i64 {
    ticket["generated_timestamp"].as_i64().unwrap()
}

impl Vendor for Zendesk {
    fn connection(&self, url: &str) -> String {
        format!("vendor = 'zendesk'\nbase_url = '{url}'\n")
    }

    fn key(&self) -> String {
        format!("ana@example.com/token:{TOKEN}")
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }

    fn kinds(&self) -> Vec<(Kind, &'static [&'static str])> {
        vec![
            (
                Kind::Tickets,
                &[
                    "ticket_id",
                    "customer_id",
                    "status",
                    "priority",
                    "first_reply_at",
                    "first_reply_due_at",
                    "resolved_at",
                    "reopen_count",
                    "satisfaction_score",
                ],
            ),
            (Kind::IdentityLinks, &["identity_type", "identity_id", "customer_id"]),
        ]
    }

    fn break_one(&self, now: DateTime<Utc>) {
        let mut broken = ticket(5_000, now);
        broken["status"] = json!("a word that nobody knows");
        self.0.lock().unwrap().tickets.push(broken);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        use base64::Engine as _;
        let expected = base64::engine::general_purpose::STANDARD.encode(format!("ana@example.com/token:{TOKEN}"));
        if asked.header("authorization") != format!("Basic {expected}") {
            return Answer::error(401, "Couldn't authenticate you");
        }
        let mut account = self.0.lock().unwrap();
        if asked.path == "/api/v2/users/me.json" {
            return Answer::ok(json!({ "user": { "id": 1 } }));
        }
        assert_eq!(asked.path, "/api/v2/incremental/tickets/cursor.json");
        let minute_ago = asked.now - TimeDelta::minutes(1);
        account.asked_at.retain(|at| *at > minute_ago);
        if account.asked_at.len() >= 10 {
            account.refused += 1;
            let frees = account.asked_at[0] + TimeDelta::minutes(1) - asked.now;
            return Answer::error(429, "asked too fast").with("retry-after", frees.num_seconds() + 1);
        }
        account.asked_at.push_back(asked.now);
        let mut tickets = account.tickets.clone();
        tickets.retain(|ticket| generated(ticket) <= minute_ago.timestamp());
        tickets.sort_by_key(|ticket| (generated(ticket), ticket["id"].as_i64()));
        let (cursor_time, cursor_id) = match (asked.query("cursor"), asked.query("start_time")) {
            (Some(cursor), None) => {
                let parts: Vec<i64> = cursor.split('-').map(|part| part.parse().unwrap()).collect();
                if (parts[2] as usize) < account.cursors_from {
                    return Answer::error(400, "Invalid cursor");
                }
                (parts[0], parts[1])
            }
            (None, Some(since)) if since.parse::<i64>().unwrap() < minute_ago.timestamp() => {
                (since.parse().unwrap(), 0)
            }
            _ => return Answer::error(422, "Too recent start_time. Use a start_time older than 60 seconds"),
        };
        // From the object on that the cursor stands on.
        let from = tickets
            .partition_point(|ticket| (generated(ticket), ticket["id"].as_i64().unwrap()) < (cursor_time, cursor_id));
        let page: Vec<Value> = tickets.iter().skip(from).take(PAGE).cloned().collect();
        let last = page.last().map_or((cursor_time, cursor_id), |last| {
            (generated(last), last["id"].as_i64().unwrap())
        });
        assert_eq!(asked.query("include"), Some("users,organizations,metric_sets,slas"));
        let sets: Vec<Value> = page
            .iter()
            .map(|ticket| {
                json!({ "ticket_id": ticket["id"], "reopens": 1, "replies": 2, "solved_at": "2026-03-02T10:00:00Z",
                    "reply_time_in_minutes": { "calendar": 50, "business": 10 } })
            })
            .collect();
        Answer::ok(json!({
            "tickets": page, "metric_sets": sets,
            "users": [{ "id": 7, "external_id": "cus_ana", "created_at": "2026-01-01T10:00:00Z", "updated_at": "2026-01-01T10:00:00Z" }],
            "organizations": [{ "id": 70, "external_id": "cus_acme", "created_at": "2026-01-01T10:00:00Z", "updated_at": "2026-01-01T10:00:00Z" }],
            "after_cursor": format!("{}-{}-{}", last.0, last.1, account.cursors_from), "end_of_stream": from + PAGE >= tickets.len(),
        }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zendesk_complies() {
    comply(&Server::start(Zendesk::new()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_have_their_times_and_their_customers() {
    let vendor = Zendesk::new();
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    let before = server.clock_now();
    place.sync().await.unwrap();
    // Thirteen pages at ten a minute.
    assert!(server.clock_now() - before > TimeDelta::seconds(40));
    assert_eq!(vendor.0.lock().unwrap().refused, 0);
    let rows = place.rows().await;
    assert_eq!(rows[&Kind::Tickets].len(), 1_000);
    let shown = "open critical 2026-03-01T10:50:00Z 2026-03-01T11:00:00Z 2026-03-02T10:00:00Z 1 5";
    for expected in [format!("2 cus_acme {shown}"), format!("3 cus_ana {shown}")] {
        assert!(
            rows[&Kind::Tickets].contains(&expected),
            "{:?}",
            rows[&Kind::Tickets][1]
        );
    }
    assert_eq!(
        rows[&Kind::IdentityLinks],
        ["zendesk_organization 70 cus_acme", "zendesk_user 7 cus_ana"]
    );

    // A cursor that does not hold any more, a ticket that was solved and one that was deleted.
    {
        let mut account = vendor.0.lock().unwrap();
        account.cursors_from = 9;
        for (at, status) in [(0, "solved"), (1, "deleted")] {
            let changed_at = server.clock_now() - TimeDelta::seconds(90);
            account.tickets[at]["status"] = json!(status);
            account.tickets[at]["generated_timestamp"] = json!(changed_at.timestamp());
        }
    }
    server.clock.advance(TimeDelta::minutes(1));
    place.sync().await.unwrap();
    let rows = place.rows().await;
    assert_eq!(rows[&Kind::Tickets].len(), 999);
    assert!(
        rows[&Kind::Tickets]
            .iter()
            .any(|row| row.starts_with("1 cus_ana solved "))
    );
}

impl Server {
    pub fn clock_now(&self) -> DateTime<Utc> {
        atalaya_model::Clock::now(self.clock.as_ref())
    }
}
