//! GitHub: issues and pull requests, releases, and runs of workflows of the repositories that are named.
//!
//! Issues are read in the order in which they changed, behind the last change that was seen. Releases have no time of
//! change: all are asked for when the list's mark is another one, and compared with what was told before. Runs of workflows
//! are asked for by the days they were made on, at most a thousand at once, and again for some days while they may go on.

mod map;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Connection, Connector, ConnectorError, Mapped, Page, Surroundings, connector,
    http::{Answer, Api, Credentials, Question},
    json::instant,
    pace::per_second,
};
use map::{issue, release, run};

const VENDOR: &str = "github";
const DEFAULT_URL: &str = "https://api.github.com";
const PAGE: usize = 100;
/// More results than these GitHub does not give for one question about runs.
const MOST_RUNS: i64 = 1_000;
/// For so long the state of a run may change.
const RUNS_GO_ON: TimeDelta = TimeDelta::days(3);
/// How far back runs are asked for at first.
const FIRST_RUNS: TimeDelta = TimeDelta::days(90);
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
        match self.repositories.iter().find(|name| !named(name)) {
            Some(name) => Err(format!("{name:?} is not like \"owner/name\"")),
            None if self.repositories.is_empty() => Err("names none".to_owned()),
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
    runs_until: Option<DateTime<Utc>>,
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
        let api = Api::new(VENDOR, base_url, key, Vec::new(), per_second(5), around)?
            .with_header("accept", "application/vnd.github+json")?
            .with_header("x-github-api-version", "2022-11-28")?;
        Ok(Self {
            api,
            options: options.clone(),
            around: around.clone(),
        })
    }

    /// The repository behind another one, and its first stream.
    fn place(&self, repository: Option<&String>, stream: Stream) -> Option<Place> {
        Some(Place {
            repository: repository?.clone(),
            stream,
            page: 1,
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

    async fn issues(&self, place: Place, read: &mut ReadTo) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        let path = format!("/repos/{}/issues", place.repository);
        let mut query = vec![
            ("state", "all".to_owned()),
            ("sort", "updated".to_owned()),
            ("direction", "asc".to_owned()),
            ("per_page", PAGE.to_string()),
            ("page", place.page.to_string()),
        ];
        query.extend(read.issues_until.map(|at| ("since", written(at))));
        let issues: Vec<Value> = self.api.read(&path, &self.list(&path, &query, None).await?.text)?;
        let last = issues
            .iter()
            .filter_map(|issue| instant(issue, &["updated_at"]).ok())
            .max();
        let next = if issues.len() < PAGE {
            self.after(&place)
        } else if last > read.issues_until {
            // Behind the last change, from the first page on: what changes meanwhile moves to the end and nothing is missed.
            Some(Place {
                page: 1,
                ..place.clone()
            })
        } else {
            Some(Place {
                page: place.page + 1,
                ..place.clone()
            })
        };
        read.issues_until = last.max(read.issues_until);
        let objects = issues.iter().map(|found| issue(&place.repository, found)).collect();
        Ok((objects, next))
    }

    async fn releases(
        &self,
        place: Place,
        read: &mut ReadTo,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        let path = format!("/repos/{}/releases", place.repository);
        let query = [("per_page", PAGE.to_string()), ("page", place.page.to_string())];
        let unless = read.releases_mark.as_deref().filter(|_| place.page == 1);
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
            from: read.runs_until.map_or(now - FIRST_RUNS, |until| until - RUNS_GO_ON),
            to: now,
            end: now,
        });
        loop {
            let query = [
                ("per_page", PAGE.to_string()),
                ("page", place.page.to_string()),
                ("created", format!("{}..{}", written(span.from), written(span.to))),
            ];
            let runs: Runs = match self.list(&path, &query, None).await {
                // Workflows may be switched off for a repository.
                Err(error) if error.is_about_the_object() => return Ok((Vec::new(), self.after(&place))),
                answer => self.api.read(&path, &answer?.text)?,
            };
            let length = span.to - span.from;
            if place.page == 1 && runs.total_count > MOST_RUNS && length > TimeDelta::seconds(1) {
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
            let runs = runs.workflow_runs.iter();
            let objects = runs.map(|found| run(&place.repository, found, &self.options.deploy_workflows));
            return Ok((objects.collect(), next));
        }
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
            Stream::Issues => self.issues(place, &mut read).await?,
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
