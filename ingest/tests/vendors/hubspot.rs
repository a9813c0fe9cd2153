//! HubSpot: ten thousand results at most, four searches a second, an index that is late, objects that change while they are
//! read, imports that change thousands in one instant, and tokens that are changed with every use.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use atalaya_model::Kind;
use chrono::{DateTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Asked, Server, Vendor, start},
    kit::{Place, comply, secrets},
};

const CLIENT_SECRET: &str = "hs_client_do_not_print_me";
/// How late the index of a search is.
const LATE: TimeDelta = TimeDelta::minutes(10);

type Work = fn(&mut Portal);

struct Object {
    changed_at: DateTime<Utc>,
    /// When a search sees it.
    indexed_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
    properties: Value,
}

#[derive(Default)]
struct Portal {
    objects: BTreeMap<(&'static str, i64), Object>,
    searched_at: VecDeque<DateTime<Utc>>,
    /// How often somebody was too fast.
    refused: usize,
    /// Refresh tokens that were given; only the last one is good.
    given: usize,
    access_until: Option<DateTime<Utc>>,
    /// What happens once after so many searches: somebody works while we read.
    meanwhile: Option<(usize, Work)>,
}

pub struct Hubspot {
    portal: Mutex<Portal>,
    has_rotation: bool,
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

const CONTACTS: i64 = 12_000;

impl Hubspot {
    fn new(has_rotation: bool, contacts: i64) -> Arc<Self> {
        let mut portal = Portal::default();
        let long_ago = start() - TimeDelta::days(30);
        portal.put(
            "companies",
            1,
            long_ago,
            json!({ "name": "Acme", "billing_id": "cus_acme", "createdate": "2026-01-01T10:00:00Z" }),
        );
        portal.put(
            "companies",
            2,
            long_ago,
            json!({ "name": "Nobody", "createdate": "2026-01-01T10:00:00Z" }),
        );
        for id in 1..=contacts {
            // Half of them by an import, in one instant.
            let at = if id % 2 == 0 {
                long_ago
            } else {
                long_ago + TimeDelta::seconds(id)
            };
            portal.put(
                "contacts",
                id,
                at,
                json!({ "email": format!("c{id}@example.com"), "createdate": "2026-01-01T10:00:00Z", "hubspotscore": "42.0",
                    "associatedcompanyid": "1", "billing_id": if id == 7 { json!("cus_7") } else { Value::Null } }),
            );
        }
        for (id, amount, currency, closed, won) in [
            (1, json!("1200.50"), json!("EUR"), "true", "true"),
            (2, json!("80"), Value::Null, "true", "false"),
            (3, Value::Null, Value::Null, "false", "false"),
        ] {
            portal.put(
                "deals",
                id,
                long_ago,
                json!({ "dealname": format!("deal {id}"), "amount": amount, "deal_currency_code": currency, "dealstage": "x",
                    "createdate": "2026-01-01T10:00:00Z", "closedate": "2026-04-01T22:30:00Z", "hs_is_closed": closed, "hs_is_closed_won": won }),
            );
        }
        Arc::new(Self {
            portal: Mutex::new(portal),
            has_rotation,
        })
    }
}

impl Portal {
    fn put(&mut self, of: &'static str, id: i64, changed_at: DateTime<Utc>, properties: Value) {
        let object = Object {
            changed_at,
            indexed_at: changed_at,
            deleted_at: None,
            properties,
        };
        self.objects.insert((of, id), object);
    }

    /// An object with the properties that were asked for.
    fn shown(&self, of: &'static str, id: i64, asked_for: &[&str]) -> Value {
        let object = &self.objects[&(of, id)];
        let mut properties = object.properties.clone();
        properties
            .as_object_mut()
            .unwrap()
            .retain(|name, _| asked_for.contains(&name.as_str()));
        let changed = if of == "contacts" {
            "lastmodifieddate"
        } else {
            "hs_lastmodifieddate"
        };
        properties[changed] = json!(iso(object.changed_at));
        properties["hs_object_id"] = json!(id.to_string());
        json!({
            "id": id.to_string(), "properties": properties, "createdAt": "2026-01-01T10:00:00Z",
            "updatedAt": iso(object.changed_at), "archived": object.deleted_at.is_some(), "archivedAt": object.deleted_at.map(iso),
        })
    }

    fn refresh(&self) -> String {
        format!("refresh_{}_do_not_print_me", self.given)
    }

    fn access(&self) -> String {
        format!("access_{}_do_not_print_me", self.given)
    }

    fn search(&mut self, of: &'static str, asked: &Asked) -> Answer {
        let second_ago = asked.now - TimeDelta::seconds(1);
        self.searched_at.retain(|at| *at > second_ago);
        if self.searched_at.len() >= 5 {
            self.refused += 1;
            return Answer::error(429, "asked too fast");
        }
        self.searched_at.push_back(asked.now);
        let body = asked.json();
        let groups = body["filterGroups"].as_array().unwrap();
        let sorts = body["sorts"].as_array().unwrap();
        assert!(groups.len() <= 5 && sorts.len() <= 1, "HubSpot refuses more");
        let after: usize = body["after"].as_str().map_or(0, |text| text.parse().unwrap());
        let limit = body["limit"].as_u64().unwrap() as usize;
        if limit > 200 || after + limit > 10_000 {
            return Answer::error(400, "the search has a paging limit of 10,000 results");
        }
        let passes = |id: i64, object: &Object| {
            groups.iter().any(|group| {
                group["filters"].as_array().unwrap().iter().all(|filter| {
                    let value = match filter["propertyName"].as_str().unwrap() {
                        "hs_object_id" => id,
                        _ => object.changed_at.timestamp_millis(),
                    };
                    let bound: i64 = filter["value"].as_str().unwrap().parse().unwrap();
                    match filter["operator"].as_str().unwrap() {
                        "GTE" => value >= bound,
                        "GT" => value > bound,
                        "EQ" => value == bound,
                        other => panic!("{other}"),
                    }
                })
            })
        };
        let mut found: Vec<(i64, i64)> = self
            .objects
            .iter()
            .filter(|((known, id), object)| {
                *known == of && object.deleted_at.is_none() && object.indexed_at <= asked.now && passes(*id, object)
            })
            .map(|((_, id), object)| (object.changed_at.timestamp_millis(), *id))
            .collect();
        if sorts[0]["propertyName"] == "hs_object_id" {
            found.sort_by_key(|(_, id)| *id);
        } else {
            // What changed in one instant has no order.
            found.sort_by_key(|(at, id)| (*at, id * 7_919 % 10_007));
        }
        let total = found.len();
        let wanted: Vec<&str> = body["properties"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let page: Vec<Value> = found
            .iter()
            .skip(after)
            .take(limit)
            .map(|(_, id)| self.shown(of, *id, &wanted))
            .collect();
        if let Some((0, happens)) = self.meanwhile {
            self.meanwhile = None;
            happens(self);
        } else if let Some((left, _)) = &mut self.meanwhile {
            *left -= 1;
        }
        Answer::ok(json!({ "total": total, "results": page }))
    }

    fn deleted(&self, of: &'static str, asked: &Asked) -> Answer {
        if asked.query("archived") != Some("true") {
            return Answer::ok(json!({ "results": [] }));
        }
        let after: i64 = asked.query("after").map_or(0, |text| text.parse().unwrap());
        let found = self
            .objects
            .iter()
            .filter(|((known, id), object)| *known == of && object.deleted_at.is_some() && *id > after);
        let ids: Vec<i64> = found.map(|((_, id), _)| *id).collect();
        let wanted: Vec<&str> = asked.query("properties").unwrap_or_default().split(',').collect();
        let page: Vec<Value> = ids.iter().take(2).map(|id| self.shown(of, *id, &wanted)).collect();
        let paging = (ids.len() > 2).then(|| json!({ "next": { "after": ids[1].to_string() } }));
        Answer::ok(json!({ "results": page, "paging": paging }))
    }
}

impl Vendor for Hubspot {
    fn connection(&self, url: &str) -> String {
        format!(
            "vendor = 'hubspot'\nbase_url = '{url}'\n[connection.hubspot]\ncustomer_property = 'billing_id'\ncurrency = 'USD'\ntoken_url = '{url}/token'\n"
        )
    }

    fn key(&self) -> String {
        if self.has_rotation {
            json!({ "client_id": "us", "client_secret": CLIENT_SECRET, "refresh_token": "refresh_0_do_not_print_me" })
                .to_string()
        } else {
            "access_0_do_not_print_me".to_owned()
        }
    }

    fn secrets(&self) -> Vec<String> {
        if !self.has_rotation {
            return vec![self.key()];
        }
        let portal = self.portal.lock().unwrap();
        vec![CLIENT_SECRET.to_owned(), portal.refresh(), portal.access()]
    }

    fn kinds(&self) -> Vec<(Kind, &'static [&'static str])> {
        vec![
            (Kind::Leads, &["lead_id", "customer_id", "email", "company_id", "score"]),
            (
                Kind::Opportunities,
                &[
                    "opportunity_id",
                    "status",
                    "amount_minor",
                    "currency",
                    "expected_close_on",
                    "closed_at",
                ],
            ),
            (Kind::IdentityLinks, &["identity_type", "identity_id", "customer_id"]),
        ]
    }

    fn break_one(&self, now: DateTime<Utc>) {
        let broken = json!({ "dealname": "broken", "createdate": "the other day" });
        self.portal.lock().unwrap().put("deals", 9, now, broken);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let mut portal = self.portal.lock().unwrap();
        if asked.path == "/token" {
            if asked.form("refresh_token") != portal.refresh() || asked.form("client_secret") != CLIENT_SECRET {
                return Answer::error(400, "missing or unknown refresh token");
            }
            portal.given += 1;
            portal.access_until = Some(asked.now + TimeDelta::minutes(30));
            return Answer::ok(
                json!({ "access_token": portal.access(), "expires_in": 1_800, "refresh_token": portal.refresh() }),
            );
        }
        let is_late = portal.access_until.is_some_and(|until| asked.now >= until);
        if is_late || asked.header("authorization") != format!("Bearer {}", portal.access()) {
            return Answer::error(401, "The access token is expired or invalid");
        }
        for of in ["companies", "contacts", "deals"] {
            if asked.path == format!("/crm/v3/objects/{of}/search") {
                return portal.search(of, asked);
            }
            if asked.path == format!("/crm/v3/objects/{of}") {
                return portal.deleted(of, asked);
            }
        }
        Answer::error(404, "no such thing")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hubspot_complies() {
    comply(&Server::start(Hubspot::new(false, 500)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_way_to_be_let_in_is_as_discreet() {
    let server = Server::start(Hubspot::new(true, 1)).await;
    Place::new(&server).sync().await.unwrap();
    secrets(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_thousand_contacts_land_though_a_search_gives_ten() {
    let vendor = Hubspot::new(false, CONTACTS);
    // Somebody touches one of the first while the middle is being read: everything behind it moves.
    vendor.portal.lock().unwrap().meanwhile = Some((60, |portal| {
        for id in [1, 3, 5] {
            portal.objects.get_mut(&("contacts", id)).unwrap().changed_at = start() - TimeDelta::minutes(1);
        }
    }));
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    let report = place.sync().await.unwrap();
    assert_eq!(report.dead_letters, 0, "{report:?}");
    assert_eq!(vendor.portal.lock().unwrap().refused, 0);
    let rows = place.rows().await;
    assert_eq!(rows[&Kind::Leads].len(), CONTACTS as usize);
    assert!(rows[&Kind::Leads].contains(&"7 cus_7 c7@example.com 1 42".to_owned()));
    assert_eq!(
        rows[&Kind::Opportunities],
        [
            "1 won 120050 EUR  2026-04-01T22:30:00Z",
            "2 lost 8000 USD  2026-04-01T22:30:00Z",
            "3 open   2026-04-02 ",
        ]
    );
    assert_eq!(rows[&Kind::IdentityLinks], ["hubspot_company 1 cus_acme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_sees_late_and_what_was_deleted_is_not_missed() {
    let vendor = Hubspot::new(false, 10);
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    place.sync().await.unwrap();
    let now = server.clock_now();
    {
        let mut portal = vendor.portal.lock().unwrap();
        let contact = |email: &str| json!({ "email": email, "createdate": "2026-03-10T08:00:00Z" });
        portal.put("contacts", 100, now, contact("soon@example.com"));
        // Changed before the other one, and seen after it.
        portal.put(
            "contacts",
            101,
            now - TimeDelta::minutes(1),
            contact("late@example.com"),
        );
        portal.objects.get_mut(&("contacts", 101)).unwrap().indexed_at = now + LATE;
        for id in [2, 4, 6] {
            portal.objects.get_mut(&("contacts", id)).unwrap().deleted_at = Some(now);
        }
    }
    place.sync().await.unwrap();
    let leads = |rows: &BTreeMap<Kind, Vec<String>>| rows[&Kind::Leads].join("\n");
    let seen = leads(&place.rows().await);
    assert!(seen.contains("soon@") && !seen.contains("late@"), "{seen}");
    server.clock.advance(LATE + TimeDelta::minutes(1));
    place.sync().await.unwrap();
    assert!(leads(&place.rows().await).contains("late@"));
    vendor
        .portal
        .lock()
        .unwrap()
        .objects
        .get_mut(&("companies", 1))
        .unwrap()
        .deleted_at = Some(now);
    // The deleted are listed on another day.
    server.clock.set(Utc.with_ymd_and_hms(2026, 3, 11, 6, 0, 0).unwrap());
    place.sync().await.unwrap();
    let rows = place.rows().await;
    assert_eq!(rows[&Kind::Leads].len(), 10 + 2 - 3);
    assert!(rows[&Kind::IdentityLinks].is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_saw_late_while_reading_had_broken_off_is_not_missed() {
    let vendor = Hubspot::new(false, 450);
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    // Broken off behind the third search of contacts.
    let mut left = 4;
    server.trouble(move |_, _| {
        left -= 1;
        (left < 0).then(|| Answer::error(400, "no more today"))
    });
    assert!(place.sync().await.is_err());
    server.no_trouble();
    {
        let mut portal = vendor.portal.lock().unwrap();
        let reached = portal.objects[&("contacts", 440)].changed_at;
        let late = json!({ "email": "late@example.com", "createdate": "2026-03-10T08:00:00Z" });
        portal.put("contacts", 999, reached - TimeDelta::minutes(5), late);
    }
    server.clock.advance(TimeDelta::hours(1));
    place.sync().await.unwrap();
    server.clock.advance(TimeDelta::hours(1));
    place.sync().await.unwrap();
    assert!(
        place.rows().await[&Kind::Leads]
            .iter()
            .any(|lead| lead.contains("late@"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_whose_amount_cannot_be_read_is_won_all_the_same() {
    let vendor = Hubspot::new(false, 1);
    let won = json!({ "dealname": "odd", "amount": "1200.505", "deal_currency_code": "EUR", "createdate": "2026-01-01T10:00:00Z",
        "hs_is_closed": "true", "hs_is_closed_won": "true", "closedate": "2026-02-01T10:00:00Z" });
    vendor.portal.lock().unwrap().put("deals", 4, start(), won);
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    place.sync().await.unwrap();
    assert!(place.rows().await[&Kind::Opportunities].contains(&"4 won    2026-02-01T10:00:00Z".to_owned()));
    let letters = place.dead_letters().await;
    assert!(letters.len() == 1 && letters[0].starts_with("amount "), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_changed_is_kept_before_it_is_needed() {
    let vendor = Hubspot::new(true, 10);
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    for round in 1..=3 {
        place.sync().await.unwrap();
        assert_eq!(vendor.portal.lock().unwrap().given, round);
        server.clock.advance(TimeDelta::hours(1));
    }
    // The file is nobody else's to read.
    let kept = place.path().join("tokens/place");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&kept).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    // Killed between the new token and the answer that it was for, the next sync still has it.
    server.trouble(|_, asked| (asked.path != "/token").then(|| Answer::error(400, "no")));
    assert!(place.sync().await.is_err());
    server.no_trouble();
    place.sync().await.unwrap();
    // An access token that the vendor took back before its time is changed for another.
    server.clock.advance(TimeDelta::hours(1));
    let mut was_refused = false;
    server.trouble(move |_, asked| {
        let refuses = asked.path != "/token" && !was_refused;
        was_refused |= refuses;
        refuses.then(|| Answer::error(401, "revoked"))
    });
    place.sync().await.unwrap();
}
