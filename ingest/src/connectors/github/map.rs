//! Which of GitHub's objects becomes which record. Pure: an object in, records out.

use atalaya_model::Kind;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::COMPARED;
use crate::{
    connectors::{
        Mapped, Record, Surroundings, Told,
        json::{elements, instant, integer, text, word},
        known,
    },
    receivers::Fault,
};

fn mapped(
    event_type: &str,
    key: String,
    id: &str,
    happened_at: DateTime<Utc>,
    object: &Value,
    told: Result<Vec<Record>, Fault>,
) -> Mapped {
    Mapped {
        key,
        event_type: event_type.to_owned(),
        object_id: Some(id.to_owned()),
        happened_at,
        payload: object.to_string(),
        told: Told::from(told),
    }
}

pub(super) fn issue(repository: &str, object: &Value) -> Mapped {
    let id = format!("{repository}#{}", word(object, &["number"]).unwrap_or_default());
    let changed_at = instant(object, &["updated_at"]);
    let told = changed_at.clone().map(|changed_at| {
        let mut record = Record::new(Kind::Issues);
        record.set("record_version", changed_at.timestamp_micros().to_string());
        record.set("issue_id", &id);
        record.set("project", repository);
        record.set_some("title", text(object, &["title"]));
        let labels: Vec<String> = elements(object, "labels")
            .iter()
            .filter_map(|label| text(label, &["name"]).or_else(|| label.as_str()))
            .map(str::to_lowercase)
            .collect();
        record.set("issue_type", issue_type(object, &labels));
        record.set_some("severity", severity(&labels));
        record.set_some("status", text(object, &["state"]));
        record.set_some("author", text(object, &["user", "login"]));
        let milestone = text(object, &["milestone", "title"]);
        record.set_some("release_id", milestone.map(|title| format!("{repository}@{title}")));
        record.set_some("labels", Some(labels.join(",")).filter(|labels| !labels.is_empty()));
        record.set_some("created_at", text(object, &["created_at"]));
        record.set_some("resolved_at", text(object, &["closed_at"]));
        record.set_some("merged_at", text(object, &["pull_request", "merged_at"]));
        vec![record]
    });
    let happened_at = changed_at.unwrap_or_default();
    let key = format!("issue|{id}|{}", happened_at.timestamp());
    mapped("issue", key, &id, happened_at, object, told)
}

/// GitHub's own type where an organisation uses them, else what labels say.
fn issue_type(object: &Value, labels: &[String]) -> &'static str {
    if object.get("pull_request").is_some_and(|found| !found.is_null()) {
        return "change";
    }
    let own = text(object, &["type", "name"]).map(str::to_lowercase);
    let says = |word: &str| {
        own.as_deref().map_or_else(
            || labels.iter().any(|label| label.contains(word)),
            |own| own.contains(word),
        )
    };
    if says("bug") {
        "bug"
    } else if says("feature") || says("enhancement") {
        "feature"
    } else {
        "task"
    }
}

fn severity(labels: &[String]) -> Option<&'static str> {
    let words = labels
        .iter()
        .flat_map(|label| label.split(|letter: char| !letter.is_ascii_alphanumeric()));
    let ranked = words.filter_map(|word| match word {
        "critical" | "blocker" | "p0" | "sev0" | "sev1" => Some((0, "critical")),
        "high" | "p1" | "sev2" => Some((1, "high")),
        "medium" | "normal" | "p2" | "sev3" => Some((2, "normal")),
        "low" | "minor" | "p3" | "sev4" => Some((3, "low")),
        _ => None,
    });
    ranked.min().map(|(_, severity)| severity)
}

/// A release; `None` when it was told like this before.
pub(super) fn release(repository: &str, object: &Value, around: &Surroundings, now: DateTime<Utc>) -> Option<Mapped> {
    let number = word(object, &["id"]).unwrap_or_default();
    let identity = format!("{COMPARED}{repository}|{number}");
    let version = around.known.version(&identity, now);
    let told = (|| {
        let is = |name: &str| object.get(name).and_then(Value::as_bool) == Some(true);
        let tag = text(object, &["tag_name"]).ok_or_else(|| Fault::of("tag_name", "is missing"))?;
        // A draft was given to nobody yet.
        if is("draft") {
            return Ok(Vec::new());
        }
        let mut record = Record::new(Kind::Releases);
        // By GitHub's number: another tag is another name of the same release.
        record.set("record_key", format!("{repository}/releases/{number}"));
        record.set("release_id", format!("{repository}@{tag}"));
        record.set("project", repository);
        record.set("name", text(object, &["name"]).unwrap_or(tag));
        record.set_some("revision", text(object, &["target_commitish"]));
        record.set("environment", if is("prerelease") { "preview" } else { "production" });
        record.set_some(
            "released_at",
            text(object, &["published_at"]).or_else(|| text(object, &["created_at"])),
        );
        Ok(vec![record])
    })();
    // How often its files were fetched is no news.
    let said = format!("{told:?}");
    if around.known.is_told(&identity, &said) {
        return None;
    }
    let told = told.map(|mut records| {
        for record in &mut records {
            record.set("record_version", version.to_string());
        }
        records
    });
    let happened_at = instant(object, &["created_at"]).unwrap_or(now);
    let key = known::key(&identity, &said, version);
    Some(mapped("release", key, &number, happened_at, object, told))
}

pub(super) fn run(repository: &str, object: &Value, deploy_workflows: &[String]) -> Mapped {
    let attempt = integer(object, &["run_attempt"]).unwrap_or(1);
    let id = format!(
        "{repository}/runs/{}.{attempt}",
        word(object, &["id"]).unwrap_or_default()
    );
    let changed_at = instant(object, &["updated_at"]);
    let told = changed_at.clone().map(|changed_at| {
        // A branch may stand behind the file: `.github/workflows/deploy.yml@main`.
        let path = text(object, &["path"]).and_then(|path| path.split('@').next());
        let file = path.and_then(|path| path.rsplit('/').next());
        let is_deployment = deploy_workflows.iter().any(|known| Some(known.as_str()) == file);
        let (kind, id_column, name_column) = if is_deployment {
            (Kind::Deployments, "deployment_id", "deployment_type")
        } else {
            (Kind::TestRuns, "test_run_id", "suite")
        };
        let mut record = Record::new(kind);
        record.set("record_version", changed_at.timestamp_micros().to_string());
        record.set(id_column, &id);
        record.set("project", repository);
        record.set_some(name_column, text(object, &["name"]));
        record.set_some("revision", text(object, &["head_sha"]));
        let started_at = text(object, &["run_started_at"]).or_else(|| text(object, &["created_at"]));
        record.set_some("started_at", started_at);
        let status = match (text(object, &["status"]), text(object, &["conclusion"])) {
            (Some("completed"), Some("success")) => "passed",
            (Some("completed"), Some("failure" | "timed_out" | "startup_failure")) => "failed",
            (Some("completed"), _) => "canceled",
            _ => "running",
        };
        record.set("status", status);
        if status != "running" {
            record.set_some("finished_at", text(object, &["updated_at"]));
        }
        vec![record]
    });
    let happened_at = changed_at.unwrap_or_default();
    let key = format!("run|{id}|{}", happened_at.timestamp());
    mapped("workflow_run", key, &id, happened_at, object, told)
}
