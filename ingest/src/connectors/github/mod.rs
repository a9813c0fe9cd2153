//! GitHub: issues and pull requests, releases, and runs of workflows of the repositories that are named.
//!
//! Issues are read in the order in which they changed, behind the last change that was seen. Releases have no time of
//! change: all are asked for when the list's mark is another one, and compared with what was told before. Runs of workflows
//! are asked for by the days they were made on, at most a thousand at once, and again for some days while they may go on.

mod map;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Connection, Connector, ConnectorError, Mapped, Page, Surroundings, connector,
    http::{Answer, Api, Credentials, Question},
    json::{instant, integer},
    pace::per_second,
};
use map::{issue, release, run};

const VENDOR: &str = "github";
const DEFAULT_URL: &str = "https://api.github.com";
const PAGE: usize = 100;
/// More results than these GitHub does not give for one question about runs.
const MOST_RUNS: i64 = 1_000;
/// Attempts of a run that are asked for.
const MOST_ATTEMPTS: i64 = 20;
/// For so long the state of a run changes, as a rule.
const RUNS_GO_ON: TimeDelta = TimeDelta::days(3);
/// Once a day they are asked for again from here on: one may wait for somebody's approval, or be tried again, for a month.
const RUNS_CHANGE: TimeDelta = TimeDelta::days(35);
/// How far back runs are asked for at first.
const FIRST_RUNS: TimeDelta = TimeDelta::days(90);
/// What changed so lately may change again within the same second, which would not be told from the first change.
const SETTLES: TimeDelta = TimeDelta::seconds(5);
/// How the identities of releases begin.
pub(super) const COMPARED: &str = "release|";

/// What GitHub has to be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Names with their owners: `acme/shop`.
    repositories: Vec<String>,
    /// Files of workflows whose runs are deployments: `deploy.yml`. Runs of others are runs of tests.
    #[serde(default)]
    deploy_workflows: Vec<String>,
}

impl Options {
    pub(super) fn check(&self) -> Result<(), String> {
        let plain = |part: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !part.is_empty() && part.bytes().all(fits)
        };
        let named = |name: &String| matches!(name.split_once('/'), Some((owner, name)) if plain(owner) && plain(name));
        let names: Vec<String> = self.repositories.iter().map(|name| name.to_lowercase()).collect();
        match self.repositories.iter().find(|name| !named(name)) {
            Some(name) => Err(format!("{name:?} is not like \"owner/name\"")),
            None if names.is_empty() => Err("names none".to_owned()),
            None if (1..names.len()).any(|at| names[..at].contains(&names[at])) => {
                Err("names a repository twice; GitHub's names are the same in either case".to_owned())
            }
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stream {
    Issues,
    Releases,
    Runs,
}

/// How far GitHub was read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// What is being read; between two syncs nothing is.
    at: Option<Place>,
    read: BTreeMap<String, ReadTo>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    repository: String,
    stream: Stream,
    page: u32,
    /// The last issue of the page before, where issues of one second fill several pages.
    last_number: Option<i64>,
    /// The mark of the list of releases that is being read.
    mark: Option<String>,
    /// The time whose runs are being read.
    span: Option<Span>,
}

/// A time, and the end of all that is to be read: the present when reading began, for the present itself moves on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    end: DateTime<Utc>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadTo {
    issues_until: Option<DateTime<Utc>>,
    releases_mark: Option<String>,
    /// The mark is that of the first page: once a day all are read.
    releases_on: Option<NaiveDate>,
    runs_until: Option<DateTime<Utc>>,
    runs_on: Option<NaiveDate>,
}

/// The repositories of a connection.
pub(super) struct Github {
    api: Api,
    options: Options,
    around: Surroundings,
}

impl Github {
    pub(super) fn new(
        connection: &Connection,
        options: &Options,
        around: &Surroundings,
    ) -> Result<Self, ConnectorError> {
        let base_url = connection.base_url.as_deref().unwrap_or(DEFAULT_URL);
        let key = Credentials::Bearer(connection.key());
        let api = Api::new(VENDOR, base_url, key, Vec::new(), per_second(1), around)?
            .with_header("accept", "application/vnd.github+json")?
            .with_header("x-github-api-version", "2022-11-28")?;
        Ok(Self {
            api,
            options: options.clone(),
            around: around.clone(),
        })
    }

    /// The beginning of a stream; none where there is no repository.
    fn place(&self, repository: Option<&String>, stream: Stream) -> Option<Place> {
        Some(Place {
            repository: repository?.clone(),
            stream,
            page: 1,
            last_number: None,
            mark: None,
            span: None,
        })
    }

    fn after(&self, place: &Place) -> Option<Place> {
        match place.stream {
            Stream::Issues => self.place(Some(&place.repository), Stream::Releases),
            Stream::Releases => self.place(Some(&place.repository), Stream::Runs),
            Stream::Runs => {
                let names = &self.options.repositories;
                let at = names.iter().position(|name| *name == place.repository);
                self.place(names.get(at.map_or(0, |at| at + 1)), Stream::Issues)
            }
        }
    }

    async fn list(&self, path: &str, query: &[(&str, String)], unless: Option<&str>) -> Result<Answer, ConnectorError> {
        let question = Question {
            path,
            query,
            unless,
            ..Question::default()
        };
        self.api.ask(question).await
    }

    /// Issues in the order of their changes. GitHub's times have seconds, and a page is told by its number, so that within
    /// one second pages move when an issue leaves it.
    async fn issues(
        &self,
        place: Place,
        read: &mut ReadTo,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        let mut issues = match self.page_of_issues(&place, place.page, read).await {
            // A repository that is gone must not keep the others from being read.
            Err(error) if error.is_absent() => {
                tracing::warn!("{error}; the next repository is read");
                let runs = Place {
                    stream: Stream::Runs,
                    ..place
                };
                return Ok((Vec::new(), self.after(&runs)));
            }
            issues => issues?,
        };
        let is_full = issues.len() == PAGE;
        let number = |issue: &Value| integer(issue, &["number"]);
        if place.page > 1 {
            let before = self.page_of_issues(&place, place.page - 1, read).await?;
            if before.last().and_then(number) != place.last_number {
                // Pages have moved: from the first one again. What was told is known.
                let first = Place {
                    page: 1,
                    last_number: None,
                    ..place
                };
                return Ok((Vec::new(), Some(first)));
            }
        }
        let settled = DateTime::from_timestamp(self.api.present_secs(now), 0).unwrap_or(now) - SETTLES;
        let found = issues.len();
        // One whose time cannot be read is a fault to be told.
        issues.retain(|issue| instant(issue, &["updated_at"]).map_or(true, |at| at <= settled));
        let last = issues
            .iter()
            .filter_map(|issue| instant(issue, &["updated_at"]).ok())
            .max();
        let next = if !is_full || issues.len() < found {
            self.after(&place)
        } else if last > read.issues_until {
            // Behind the last change, from the first page on: what changes meanwhile moves to the end and nothing is missed.
            Some(Place {
                page: 1,
                last_number: None,
                ..place.clone()
            })
        } else {
            Some(Place {
                page: place.page + 1,
                last_number: issues.last().and_then(number),
                ..place.clone()
            })
        };
        read.issues_until = last.max(read.issues_until);
        let objects = issues.iter().map(|found| issue(&place.repository, found)).collect();
        Ok((objects, next))
    }

    async fn page_of_issues(&self, place: &Place, page: u32, read: &ReadTo) -> Result<Vec<Value>, ConnectorError> {
        let path = format!("/repos/{}/issues", place.repository);
        let mut query = vec![
            ("state", "all".to_owned()),
            ("sort", "updated".to_owned()),
            ("direction", "asc".to_owned()),
            ("per_page", PAGE.to_string()),
            ("page", page.to_string()),
        ];
        query.extend(read.issues_until.map(|at| ("since", written(at))));
        self.api.read(&path, &self.list(&path, &query, None).await?.text)
    }

    async fn releases(
        &self,
        place: Place,
        read: &mut ReadTo,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        let path = format!("/repos/{}/releases", place.repository);
        let query = [("per_page", PAGE.to_string()), ("page", place.page.to_string())];
        let was_today = read.releases_on == Some(now.date_naive());
        let unless = read.releases_mark.as_deref().filter(|_| place.page == 1 && was_today);
        let answer = self.list(&path, &query, unless).await?;
        if answer.is_known {
            return Ok((Vec::new(), self.after(&place)));
        }
        let releases: Vec<Value> = self.api.read(&path, &answer.text)?;
        let mark = if place.page == 1 {
            answer.etag
        } else {
            place.mark.clone()
        };
        let objects = releases
            .iter()
            .filter_map(|found| release(&place.repository, found, &self.around, now))
            .collect();
        if releases.len() == PAGE {
            let next = Place {
                page: place.page + 1,
                mark,
                ..place
            };
            return Ok((objects, Some(next)));
        }
        read.releases_mark = mark;
        read.releases_on = Some(now.date_naive());
        Ok((objects, self.after(&place)))
    }

    async fn runs(
        &self,
        place: Place,
        read: &mut ReadTo,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        #[derive(Deserialize)]
        struct Runs {
            total_count: i64,
            workflow_runs: Vec<Value>,
        }
        let path = format!("/repos/{}/actions/runs", place.repository);
        let mut span = place.span.unwrap_or_else(|| Span {
            from: match read.runs_until {
                None => now - FIRST_RUNS,
                Some(until) if read.runs_on == Some(now.date_naive()) => until - RUNS_GO_ON,
                Some(until) => until - RUNS_CHANGE,
            },
            to: now,
            end: now,
        });
        let known_until = read.runs_until;
        loop {
            let query = [
                ("per_page", PAGE.to_string()),
                ("page", place.page.to_string()),
                ("created", format!("{}..{}", written(span.from), written(span.to))),
            ];
            let runs: Runs = match self.list(&path, &query, None).await {
                // Workflows may be switched off for a repository.
                Err(error) if error.is_absent() => {
                    tracing::warn!("{error}");
                    return Ok((Vec::new(), self.after(&place)));
                }
                answer => self.api.read(&path, &answer?.text)?,
            };
            let length = span.to - span.from;
            if place.page == 1 && runs.total_count >= MOST_RUNS && length > TimeDelta::seconds(1) {
                span.to = span.from + length / 2;
                continue;
            }
            let is_full = runs.workflow_runs.len() == PAGE && i64::from(place.page) * (PAGE as i64) < MOST_RUNS;
            let next = if is_full {
                Some(Place {
                    page: place.page + 1,
                    span: Some(span),
                    ..place.clone()
                })
            } else {
                read.runs_until = Some(span.to);
                read.runs_on = Some(now.date_naive());
                let rest = Span {
                    from: span.to,
                    to: span.end,
                    end: span.end,
                };
                let rest = Place {
                    page: 1,
                    span: Some(rest),
                    ..place.clone()
                };
                if span.to < span.end {
                    Some(rest)
                } else {
                    self.after(&place)
                }
            };
            let mut objects = Vec::new();
            for found in &runs.workflow_runs {
                for earlier in self.attempts_before(&place.repository, found, known_until).await? {
                    objects.push(run(&place.repository, &earlier, &self.options.deploy_workflows));
                }
                objects.push(run(&place.repository, found, &self.options.deploy_workflows));
            }
            return Ok((objects, next));
        }
    }

    /// A list of runs has only the last attempt of each: those before are asked for when it has changed since.
    async fn attempts_before(
        &self,
        repository: &str,
        run: &Value,
        known_until: Option<DateTime<Utc>>,
    ) -> Result<Vec<Value>, ConnectorError> {
        let changed_at = instant(run, &["updated_at"]).ok();
        let is_news = changed_at.is_some_and(|at| known_until.is_none_or(|until| at >= until - SETTLES));
        let attempts = integer(run, &["run_attempt"]).unwrap_or(1);
        let mut found = Vec::new();
        if let (true, Some(id)) = (is_news, integer(run, &["id"])) {
            for attempt in 1..attempts.min(MOST_ATTEMPTS) {
                let path = format!("/repos/{repository}/actions/runs/{id}/attempts/{attempt}");
                found.push(self.api.read(&path, &self.api.get(&path, &[]).await?)?);
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Connector for Github {
    async fn check(&mut self, _: DateTime<Utc>) -> Result<String, ConnectorError> {
        for repository in &self.options.repositories {
            self.api.get(&format!("/repos/{repository}"), &[]).await?;
        }
        Ok(format!("github answers for {}", self.options.repositories.join(", ")))
    }

    async fn read(&mut self, position: Option<&str>, now: DateTime<Utc>) -> Result<Page, ConnectorError> {
        let mut position: Position = connector::position(VENDOR, position)?.unwrap_or_default();
        // A repository may be named no longer.
        let at = position
            .at
            .take()
            .filter(|place| self.options.repositories.contains(&place.repository));
        let first = || self.place(self.options.repositories.first(), Stream::Issues);
        let Some(place) = at.or_else(first) else {
            return connector::page(VENDOR, Vec::new(), &position, true);
        };
        let mut read = position.read.get(&place.repository).cloned().unwrap_or_default();
        let repository = place.repository.clone();
        let (objects, next) = match place.stream {
            Stream::Issues => self.issues(place, &mut read, now).await?,
            Stream::Releases => self.releases(place, &mut read, now).await?,
            Stream::Runs => self.runs(place, &mut read, now).await?,
        };
        position.read.insert(repository, read);
        let is_last = next.is_none();
        position.at = next;
        connector::page(VENDOR, objects, &position, is_last)
    }
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
