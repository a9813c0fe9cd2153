//! Google Ads: tokens that expire, numbers that are text, days whose figures change for weeks, and campaigns that a day loses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use atalaya_model::Kind;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Asked, Server, Vendor, start},
    kit::{Place, comply},
};

const SECRETS: [&str; 3] = [
    "secret_do_not_print_me",
    "refresh_do_not_print_me",
    "developer_do_not_print_me",
];

#[derive(Default)]
struct Account {
    /// Millionths of a euro by day and campaign.
    cost: BTreeMap<(NaiveDate, u64), String>,
    access_until: Option<DateTime<Utc>>,
    /// It answers, and something goes wrong on the way.
    breaks_off: bool,
}

pub struct GoogleAds(Mutex<Account>);

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

impl GoogleAds {
    fn new() -> Arc<Self> {
        let mut account = Account::default();
        let mut on = day("2026-01-05");
        while on <= start().date_naive() {
            account.cost.insert((on, 11), "12345678".to_owned());
            account.cost.insert((on, 22), "2005000".to_owned());
            on = on + Days::new(1);
        }
        Arc::new(Self(Mutex::new(account)))
    }
}

impl Vendor for GoogleAds {
    fn connection(&self, url: &str) -> String {
        format!(
            "vendor = 'google_ads'\nbase_url = '{url}'\n[connection.google_ads]\ncustomer_id = '123-456-7890'\nlogin_customer_id = '999-999-9999'\nsince_on = 2026-01-01\ntoken_url = '{url}/token'\n"
        )
        .replace("2026-01-01", "'2026-01-01'")
    }

    fn key(&self) -> String {
        let [secret, refresh, developer] = SECRETS;
        json!({ "client_id": "us", "client_secret": secret, "refresh_token": refresh, "developer_token": developer })
            .to_string()
    }

    fn secrets(&self) -> Vec<String> {
        SECRETS.map(str::to_owned).to_vec()
    }

    fn kinds(&self) -> Vec<(Kind, &'static [&'static str])> {
        vec![(
            Kind::AdSpend,
            &[
                "spent_on",
                "campaign",
                "amount_minor",
                "currency",
                "clicks",
                "conversions_e6",
            ],
        )]
    }

    fn break_one(&self, now: DateTime<Utc>) {
        let mut account = self.0.lock().unwrap();
        account.cost.insert((now.date_naive(), 33), "a lot".to_owned());
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let mut account = self.0.lock().unwrap();
        if asked.path == "/token" {
            if asked.form("refresh_token") != SECRETS[1] {
                return Answer::error(400, "invalid_grant");
            }
            account.access_until = Some(asked.now + TimeDelta::hours(1));
            return Answer::ok(json!({ "access_token": "access", "expires_in": 3_599 }));
        }
        let holds = account.access_until.is_some_and(|until| asked.now < until);
        if !holds || asked.header("authorization") != "Bearer access" {
            return Answer::error(401, "Request had invalid authentication credentials.");
        }
        if asked.header("developer-token") != SECRETS[2] || asked.header("login-customer-id") != "9999999999" {
            return Answer::error(403, "DEVELOPER_TOKEN_PARAMETER_MISSING");
        }
        assert_eq!(asked.path, "/v26/customers/1234567890/googleAds:searchStream");
        if account.breaks_off {
            let error = json!({ "error": { "code": 500, "message": "Internal error encountered." } });
            return Answer::ok(json!([{ "results": [] }, error]));
        }
        let query = asked.json()["query"].as_str().unwrap().to_owned();
        if query.contains("FROM customer") {
            return Answer::ok(json!([{ "results": [{ "customer": { "currencyCode": "EUR" } }] }]));
        }
        let quoted: Vec<&str> = query.split('\'').collect();
        let (from, to) = (day(quoted[1]), day(quoted[3]));
        let rows = account.cost.range((from, 0)..=(to, u64::MAX)).map(|((on, campaign), cost)| {
            json!({
                "campaign": { "resourceName": format!("customers/1234567890/campaigns/{campaign}"), "id": campaign.to_string(),
                    "name": format!("Campaign {campaign}"), "advertisingChannelType": "SEARCH" },
                "segments": { "date": on.to_string() },
                "metrics": { "costMicros": cost, "impressions": "1000", "clicks": "30", "conversions": 2.5 },
            })
        });
        let rows: Vec<Value> = rows.collect();
        // In parts, as it is streamed.
        let parts: Vec<Value> = rows
            .chunks(7)
            .map(|part| json!({ "results": part, "requestId": "x" }))
            .collect();
        Answer::ok(parts.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn google_ads_complies() {
    comply(&Server::start(GoogleAds::new()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_restated_and_what_is_gone_costs_nothing() {
    let vendor = GoogleAds::new();
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    place.sync().await.unwrap();
    let rows = place.rows().await;
    assert_eq!(rows[&Kind::AdSpend].len(), 65 * 2);
    // Half a cent goes to the even one.
    assert!(rows[&Kind::AdSpend].contains(&"2026-01-05 Campaign 11 1235 EUR 30 2500000".to_owned()));
    assert!(rows[&Kind::AdSpend].contains(&"2026-01-05 Campaign 22 200 EUR 30 2500000".to_owned()));

    let restated = |change: &dyn Fn(&mut Account)| change(&mut vendor.0.lock().unwrap());
    restated(&|account| {
        account.cost.insert((day("2026-03-01"), 11), "5000000".to_owned());
        account.cost.remove(&(day("2026-03-02"), 22));
        // Too long ago: nobody asks any more.
        account.cost.insert((day("2026-01-10"), 11), "1".to_owned());
    });
    server.clock.advance(TimeDelta::hours(2));
    let report = place.sync().await.unwrap();
    assert_eq!(report.rows, 4, "two days, each with Google's own words beside");
    let rows = place.rows().await;
    assert!(rows[&Kind::AdSpend].contains(&"2026-03-01 Campaign 11 500 EUR 30 2500000".to_owned()));
    assert!(rows[&Kind::AdSpend].contains(&"2026-03-02 22 0 EUR  ".to_owned()));
    assert!(rows[&Kind::AdSpend].contains(&"2026-01-10 Campaign 11 1235 EUR 30 2500000".to_owned()));

    // Back to what it was: the newest stands, though it was told before.
    restated(&|account| {
        account.cost.insert((day("2026-03-01"), 11), "12345678".to_owned());
    });
    server.clock.advance(TimeDelta::hours(2));
    assert_eq!(place.sync().await.unwrap().rows, 2);
    assert!(place.rows().await[&Kind::AdSpend].contains(&"2026-03-01 Campaign 11 1235 EUR 30 2500000".to_owned()));

    // An answer that breaks off says nothing of what is not in it.
    restated(&|account| account.breaks_off = true);
    server.clock.advance(TimeDelta::hours(2));
    let error = place.sync().await.unwrap_err().to_string();
    assert!(error.contains("Internal error encountered."), "{error}");
}
