//! Google Ads: what each campaign cost by day.
//!
//! A day's figures change for weeks, when conversions and corrections arrive. So every sync asks for the last weeks again, and
//! lands what is another than what was told before; a campaign that a day does not have any more costs nothing then.

use async_trait::async_trait;
use atalaya_model::{Currency, Kind, calendar, muldiv};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Connection, Connector, ConnectorError, Mapped, Page, Record, Surroundings, Told, connector,
    http::{Api, Credentials, Question},
    json::{integer, text, word},
    known,
    oauth::{Access, Client},
    pace::per_second,
};
use crate::receivers::Fault;

const VENDOR: &str = "google_ads";
const DEFAULT_URL: &str = "https://googleads.googleapis.com";
const DEFAULT_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// The version of the interface: Google ends each after about a year.
const VERSION: &str = "v26";
/// Days asked for at once.
const PAGE_DAYS: u64 = 7;
/// How far back is read at first, where nothing else is said.
const FIRST_DAYS: u64 = 400;
/// How the identities begin of what is compared.
pub(super) const COMPARED: &str = "spend|";

/// What Google Ads has to be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The account: `123-456-7890`.
    customer_id: String,
    /// The manager account through which it is reached.
    login_customer_id: Option<String>,
    /// The first day that is read.
    since_on: Option<NaiveDate>,
    /// For so many days figures are asked for again.
    #[serde(default = "thirty")]
    restated_days: u16,
    /// Where access tokens are given, for tests and proxies.
    token_url: Option<String>,
}

const fn thirty() -> u16 {
    30
}

fn digits(id: &str) -> String {
    id.chars().filter(char::is_ascii_digit).collect()
}

impl Options {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong =
            |id: &String| digits(id).len() != 10 || id.chars().any(|sign| !sign.is_ascii_digit() && sign != '-');
        if wrong(&self.customer_id) || self.login_customer_id.as_ref().is_some_and(wrong) {
            return Err(("google_ads.customer_id", "is not like \"123-456-7890\"".to_owned()));
        }
        if !(1..=90).contains(&self.restated_days) {
            let reason = format!("{} is not between 1 and 90", self.restated_days);
            return Err(("google_ads.restated_days", reason));
        }
        Ok(())
    }
}

/// How far Google Ads was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The account that was read: of another one nothing is known.
    customer_id: String,
    /// The day that is read next; between two syncs there is none.
    next_on: Option<NaiveDate>,
    /// The last day that was read.
    read_on: NaiveDate,
}

/// An account.
pub(super) struct GoogleAds {
    api: Api,
    options: Options,
    around: Surroundings,
    currency: Option<Currency>,
}

impl GoogleAds {
    pub(super) fn new(
        connection: &Connection,
        options: &Options,
        around: &Surroundings,
    ) -> Result<Self, ConnectorError> {
        let client = Client::parse(VENDOR, &connection.key())?.ok_or_else(|| {
            let reason = "it is no JSON object of client_id, client_secret, refresh_token and developer_token";
            ConnectorError::refused(VENDOR, "its key", reason)
        })?;
        let developer_token = client.developer_token.clone();
        let developer_token =
            developer_token.ok_or_else(|| ConnectorError::refused(VENDOR, "its key", "it has no developer_token"))?;
        let secrets = client.secrets();
        let token_url = options
            .token_url
            .clone()
            .unwrap_or_else(|| DEFAULT_TOKEN_URL.to_owned());
        let path = around.home_dir.join("tokens").join(&connection.name);
        let access = Access::open(VENDOR, token_url, client, path)?;
        let base_url = connection.base_url.as_deref().unwrap_or(DEFAULT_URL);
        let credentials = Credentials::OAuth(Box::new(access.into()));
        let mut api = Api::new(VENDOR, base_url, credentials, secrets, per_second(1), around)?
            .with_header("developer-token", &developer_token)?;
        if let Some(login) = &options.login_customer_id {
            api = api.with_header("login-customer-id", &digits(login))?;
        }
        Ok(Self {
            api,
            options: options.clone(),
            around: around.clone(),
            currency: None,
        })
    }

    /// The rows of a query. The answer is one list of parts, each with its rows.
    async fn rows(&self, query: &str) -> Result<Vec<Value>, ConnectorError> {
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            results: Vec<Value>,
            /// What went wrong while it was answered already.
            error: Option<Value>,
        }
        let path = format!(
            "/{VERSION}/customers/{}/googleAds:searchStream",
            digits(&self.options.customer_id)
        );
        let body = json!({ "query": query });
        let question = Question {
            path: &path,
            body: Some(&body),
            ..Question::default()
        };
        let parts: Vec<Part> = self.api.read(&path, &self.api.ask(question).await?.text)?;
        if let Some(error) = parts.iter().find_map(|part| part.error.as_ref()) {
            let reason = text(error, &["message"]).unwrap_or("it broke off");
            return Err(self.api.unreadable(&path, reason));
        }
        Ok(parts.into_iter().flat_map(|part| part.results).collect())
    }

    async fn account_currency(&mut self) -> Result<Currency, ConnectorError> {
        if let Some(currency) = self.currency {
            return Ok(currency);
        }
        let rows = self.rows("SELECT customer.currency_code FROM customer LIMIT 1").await?;
        let code = rows.first().and_then(|row| text(row, &["customer", "currencyCode"]));
        let code = code.ok_or_else(|| self.api.unreadable("the account", "it has no currency"))?;
        let currency = Currency::parse(code).map_err(|error| self.api.unreadable("the account", error))?;
        self.currency = Some(currency);
        Ok(currency)
    }

    fn object(
        &self,
        on: NaiveDate,
        campaign_id: &str,
        object: &Value,
        currency: Currency,
        now: DateTime<Utc>,
    ) -> Option<Mapped> {
        let identity = format!("{COMPARED}{}|{on}|{campaign_id}", digits(&self.options.customer_id));
        let payload = object.to_string();
        if self.around.known.is_told(&identity, &payload) {
            return None;
        }
        let version = self.around.known.version(&identity, now);
        let told = spend(&identity, on, campaign_id, object, currency, version).map(|record| vec![record]);
        Some(Mapped {
            key: known::key(&identity, &payload, version),
            event_type: "campaign_day".to_owned(),
            object_id: Some(campaign_id.to_owned()),
            happened_at: calendar::day_starts_at(self.around.zone, on),
            payload,
            told: Told::from(told),
        })
    }
}

#[async_trait]
impl Connector for GoogleAds {
    async fn check(&mut self, _: DateTime<Utc>) -> Result<String, ConnectorError> {
        let currency = self.account_currency().await?;
        Ok(format!("google_ads answers, in {}", currency.code()))
    }

    async fn read(&mut self, position: Option<&str>, now: DateTime<Utc>) -> Result<Page, ConnectorError> {
        let today = now.with_timezone(&self.around.zone).date_naive();
        let customer_id = digits(&self.options.customer_id);
        let position: Option<Position> = connector::position(VENDOR, position)?;
        let position = position.filter(|position| position.customer_id == customer_id);
        let of_day = |on: NaiveDate| format!("{COMPARED}{customer_id}|{on}");
        let first = self.options.since_on.unwrap_or(today - Days::new(FIRST_DAYS));
        let restated = Days::new(u64::from(self.options.restated_days));
        let from = match &position {
            None => first,
            Some(position) => position.next_on.unwrap_or((position.read_on - restated).max(first)),
        };
        let to = (from + Days::new(PAGE_DAYS - 1)).min(today).max(from);
        let currency = self.account_currency().await?;
        let query = format!(
            "SELECT campaign.id, campaign.name, campaign.advertising_channel_type, segments.date, metrics.cost_micros, \
             metrics.impressions, metrics.clicks, metrics.conversions FROM campaign \
             WHERE segments.date BETWEEN '{from}' AND '{to}'"
        );
        let rows = self.rows(&query).await?;
        let mut objects = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for row in &rows {
            let on = text(row, &["segments", "date"]).and_then(|text| text.parse::<NaiveDate>().ok());
            let campaign = word(row, &["campaign", "id"]);
            let (Some(on), Some(campaign)) = (on, campaign) else {
                return Err(self
                    .api
                    .unreadable("a report", "a row has no segments.date or no campaign.id"));
            };
            seen.insert(format!("{}|{campaign}", of_day(on)));
            objects.extend(self.object(on, &campaign, row, currency, now));
        }
        let (first, end) = (of_day(from), of_day(to + Days::new(1)));
        for gone in self
            .around
            .known
            .between(&first, &end)
            .filter(|known| !seen.contains(*known))
        {
            let mut parts = gone.split('|').skip(2);
            if let (Some(Ok(on)), Some(campaign)) = (parts.next().map(str::parse), parts.next()) {
                let nothing = json!({ "campaign": { "id": campaign }, "metrics": { "costMicros": "0" } });
                objects.extend(self.object(on, campaign, &nothing, currency, now));
            }
        }
        let is_last = to >= today;
        let position = Position {
            customer_id,
            next_on: (!is_last).then(|| to + Days::new(1)),
            read_on: position.map_or(to, |position| position.read_on.max(to)),
        };
        connector::page(VENDOR, objects, &position, is_last)
    }
}

fn spend(
    identity: &str,
    on: NaiveDate,
    campaign_id: &str,
    object: &Value,
    currency: Currency,
    version: i64,
) -> Result<Record, Fault> {
    let micros = integer(object, &["metrics", "costMicros"])
        .ok_or_else(|| Fault::of("metrics.costMicros", "is no whole number"))?;
    let minor = muldiv(micros, 10_i64.pow(u32::from(currency.exponent())), 1_000_000)
        .map_err(|error| Fault::of("metrics.costMicros", error))?;
    let mut record = Record::new(Kind::AdSpend);
    record.set("record_key", identity);
    record.set("record_version", version.to_string());
    record.set("spent_on", on.to_string());
    record.set("channel", VENDOR);
    record.set("campaign", text(object, &["campaign", "name"]).unwrap_or(campaign_id));
    record.set("amount_minor", minor.to_string());
    record.set("currency", currency.code());
    // What was rounded to a minor unit is kept beside.
    record.set("cost_micros", micros.to_string());
    record.set_some("campaign_type", text(object, &["campaign", "advertisingChannelType"]));
    record.set_some("impressions", word(object, &["metrics", "impressions"]));
    record.set_some("clicks", word(object, &["metrics", "clicks"]));
    let conversions = object.pointer("/metrics/conversions").and_then(Value::as_f64);
    record.set_some("conversions", conversions.map(|number| format!("{number:.6}")));
    Ok(record)
}
