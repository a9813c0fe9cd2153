//! What a rule would have done: history as it was known at each moment, through the judgement, the standings and the decisions
//! that watch the present. Nothing is sent and nothing is kept.

use std::collections::{BTreeMap, VecDeque};

use atalaya_model::{HomeSettings, Language, MetricReadError, MetricReader, SeriesQuery};
use chrono::{DateTime, Utc};

use crate::{
    AlertError, Incident, IncidentKind, Rule,
    control::Kept,
    decide::{Case, decide},
    message::Action,
    observe::{Answer, Question, question, see},
    rule::Watch,
    story::Story,
};

/// An incident that would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// What it would have been about.
    pub kind: IncidentKind,
    /// When it would have opened.
    pub opened_at: DateTime<Utc>,
    /// When it would have ended; open at the end of the time otherwise.
    pub ended_at: Option<DateTime<Utc>>,
    /// What would have been told.
    pub title: String,
    /// How many more times people would have heard of it before its end.
    pub updates: usize,
}

/// Moments that are asked before the first of them is judged: what they answer is held meanwhile.
const MOMENTS_AT_ONCE: usize = 1_024;

/// What the rule was told at every moment: one scan answers many of them.
async fn answers(
    rule: &Rule,
    reader: &dyn MetricReader,
    settings: &HomeSettings,
    has_hindsight: bool,
    moments: &[DateTime<Utc>],
) -> Vec<Result<Answer, String>> {
    let asked = |now: &DateTime<Utc>| question(rule, settings, *now, (!has_hindsight).then_some(*now));
    let questions: Result<Vec<Option<Question>>, String> = moments.iter().map(asked).collect();
    let questions = match questions {
        Ok(questions) => questions,
        Err(reason) => return vec![Err(reason); moments.len()],
    };
    let told = |answer: Result<Answer, MetricReadError>| answer.map_err(|error| error.to_string());
    if let Some(Some(Question::Readings(signal))) = questions.first() {
        let readings = reader.readings_at(signal, moments).await.into_iter();
        return readings.map(|found| told(found.map(Answer::Readings))).collect();
    }
    let queries: Vec<SeriesQuery> = questions
        .into_iter()
        .filter_map(|question| match question {
            Some(Question::Series(query)) => Some(query),
            _ => None,
        })
        .collect();
    if has_hindsight {
        // There is one moment of knowledge, the present, whose answers are kept: many looks of a day ask the same.
        let mut found = Vec::with_capacity(queries.len());
        for query in &queries {
            found.push(told(reader.series(query).await.map(Answer::Series)));
        }
        return found;
    }
    let series = reader.vintages(&queries).await.into_iter();
    series.map(|found| told(found.map(Answer::Series))).collect()
}

/// Replays a rule at some moments, in order: with what was known then, or in hindsight with what is known today.
pub async fn backtest(
    rule: &Rule,
    reader: &dyn MetricReader,
    settings: &HomeSettings,
    language: Language,
    has_hindsight: bool,
    moments: impl IntoIterator<Item = DateTime<Utc>>,
) -> Result<Vec<Replayed>, AlertError> {
    let refused = match &rule.watch {
        Watch::Unacknowledged | Watch::RuleFaults => Some("looks at Atalaya itself, which has no history to replay"),
        Watch::Signal { .. } | Watch::Metric { is_to_date: true, .. } if has_hindsight => {
            Some("looks at its moment, of which nothing else is known than what was known then")
        }
        _ => None,
    };
    if let Some(reason) = refused {
        return Err(AlertError::Rule {
            file: rule.id.clone(),
            reason: reason.to_owned(),
        });
    }
    let mut replayed: Vec<Replayed> = Vec::new();
    let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
    let mut open: Vec<Incident> = Vec::new();
    let mut moments = moments.into_iter();
    let mut asked: VecDeque<(DateTime<Utc>, Result<Answer, String>)> = VecDeque::new();
    loop {
        if asked.is_empty() {
            let some: Vec<DateTime<Utc>> = moments.by_ref().take(MOMENTS_AT_ONCE).collect();
            let answers = answers(rule, reader, settings, has_hindsight, &some).await;
            asked = some.into_iter().zip(answers).collect();
        }
        let Some((now, answer)) = asked.pop_front() else {
            break;
        };
        let seen = answer.and_then(|answer| see(rule, settings, now, answer));
        let outline = decide(&Case {
            rule,
            kept: &kept,
            open: &open,
            observed: seen.as_ref().map_err(String::as_str),
            now,
        });
        for (entity, standing) in outline.standings {
            match standing {
                Some(standing) => kept.insert(entity, standing),
                None => kept.remove(&entity),
            };
        }
        let index = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
        for (id, ..) in outline.joined {
            if let Some(incident) = replayed.get_mut(index(id)) {
                incident.updates += 1;
            }
        }
        for (id, _) in outline.closings {
            open.retain(|incident| incident.id != id);
            if let Some(incident) = replayed.get_mut(index(id)) {
                incident.ended_at = Some(now);
            }
        }
        for (kind, group_key, members) in outline.openings {
            let members: Vec<(String, Option<String>)> = members
                .into_iter()
                .map(|entity| {
                    let label = kept.get(&entity).and_then(|kept| kept.label.clone());
                    (entity, label)
                })
                .collect();
            let story = Story {
                rule,
                kind,
                action: Action::Trigger,
                dedup_key: "",
                company: &settings.company,
                members: &members,
                observed: seen.as_ref().ok(),
                reason: seen.as_ref().err().map(String::as_str),
                drivers: &[],
                ending: None,
                at: now,
            };
            let is_over = rule.is_notice && kind == IncidentKind::Breach;
            let title = story.tell(language).title;
            if !is_over {
                let id = i64::try_from(replayed.len()).unwrap_or(i64::MAX);
                open.push(Incident::imagined(id, &rule.id, kind, group_key, now));
            }
            replayed.push(Replayed {
                kind,
                opened_at: now,
                ended_at: is_over.then_some(now),
                title,
                updates: 0,
            });
        }
    }
    Ok(replayed)
}
