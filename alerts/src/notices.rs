//! What is told where no rule speaks.

use atalaya_model::Language;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    Incident, Route, canary, digest,
    message::{Action, Answers, Message, Table, and_more, cut},
};

/// What is told when a route will never take a notification. It has a key of its own: it must not end or join the alert.
pub(crate) fn undelivered(incident: &Incident, route: Route, reason: &str, at: DateTime<Utc>) -> Message {
    let name = route.name();
    Message {
        severity: "error",
        dedup_key: format!("{}-undelivered-{name}", incident.dedup_key),
        title: format!(
            "{name} refused an alert · {name} rechazó una alerta: {}",
            incident.title
        ),
        lines: vec![cut(reason), format!("incident {}", incident.id)],
        details: json!({"incident": incident.id, "route": name, "reason": reason}),
        may_recur: true,
        ..notice(incident, Action::Trigger, at)
    }
}

/// That a route which refused a notification has taken it after all.
pub(crate) fn mended(incident: &Incident, route: Route, at: DateTime<Utc>) -> Message {
    let mut message = undelivered(incident, route, "", at);
    message.action = Action::Resolve;
    message
}

/// What is told when an incident ends without its rule: closed by hand, or its rule was removed.
pub(crate) fn ended(incident: &Incident, reason: &str, at: DateTime<Utc>) -> Message {
    Message {
        title: format!("Closed · Cerrado: {}", incident.title),
        lines: vec![cut(reason)],
        details: json!({"incident": incident.id, "reason": reason}),
        ..notice(incident, Action::Resolve, at)
    }
}

/// What is told when somebody takes an incident, or gives it back.
pub(crate) fn taken(incident: &Incident, actor: &str, is_taken: bool, at: DateTime<Utc>) -> Message {
    let (action, words) = if is_taken {
        (Action::Acknowledge, "Taken by · Lo tiene")
    } else {
        (Action::GiveBack, "Given back by · Lo devuelve")
    };
    let actor = cut(actor);
    Message {
        title: incident.title.clone(),
        lines: vec![format!("{words} {actor} · {}", at.format("%Y-%m-%d %H:%M UTC"))],
        details: json!({"incident": incident.id, "by": actor}),
        ..notice(incident, action, at)
    }
}

/// What is told to see whether a route works.
pub(crate) fn canary(dedup_key: &str, company: &str, at: DateTime<Utc>) -> Message {
    Message {
        title: format!("Test of this route: nothing to do · Prueba de esta ruta: nada que hacer ({company})"),
        lines: vec![format!("{}", at.format("%Y-%m-%d %H:%M:%S UTC"))],
        details: json!({"canary": at}),
        company: company.to_owned(),
        ..own(canary::RULE_ID, dedup_key, canary::ACTION, at)
    }
}

/// What is told when nobody looks at the rules any more.
pub(crate) fn late(dedup_key: &str, company: &str, since: DateTime<Utc>, at: DateTime<Utc>) -> Message {
    Message {
        severity: "critical",
        title: format!("Alert rules are not looked at · Las reglas de alerta no se miran ({company})"),
        lines: vec![
            format!("{} {}", "since · desde", since.format("%Y-%m-%d %H:%M UTC")),
            "Nobody would be told of anything else: look at the server's log · Nadie se enteraría de nada más: mire el registro del servidor".to_owned(),
        ],
        details: json!({"since": since}),
        answers: Answers::Take,
        company: company.to_owned(),
        ..own("evaluation_late", dedup_key, Action::Trigger, at)
    }
}

/// What is told of opportunities, once a day.
pub(crate) fn digest(
    dedup_key: &str,
    company: &str,
    (table, many): (Table, usize),
    language: Language,
    at: DateTime<Utc>,
) -> Message {
    let left_out = many.saturating_sub(table.rows.len());
    Message {
        title: format!(
            "{}: {many} ({company})",
            language.pick("Opportunities", "Oportunidades")
        ),
        lines: Vec::from_iter(and_more(language, left_out)),
        details: json!({"opportunities": many}),
        company: company.to_owned(),
        table: Some(table),
        language,
        ..own(digest::RULE_ID, dedup_key, Action::Trigger, at)
    }
}

/// What those are told who come after the ones that did not answer.
pub(crate) fn escalated(incident: &Incident, names: &str, severity: &'static str, at: DateTime<Utc>) -> Message {
    Message {
        severity,
        title: format!("Nobody has taken this · Nadie se encarga: {}", incident.title),
        lines: vec![format!("Escalated to · Se escala a: {names}")],
        details: json!({"incident": incident.id, "to": names}),
        ..notice(incident, Action::Update, at)
    }
}

/// In both languages, because it is told where no rule knows whose.
fn notice(incident: &Incident, action: Action, at: DateTime<Utc>) -> Message {
    own(&incident.rule_id, &incident.dedup_key, action, at)
}

fn own(rule_id: &str, dedup_key: &str, action: Action, at: DateTime<Utc>) -> Message {
    Message {
        action,
        severity: "info",
        dedup_key: dedup_key.to_owned(),
        rule_id: rule_id.to_owned(),
        component: "alerts".to_owned(),
        company: "Atalaya".to_owned(),
        title: String::new(),
        lines: Vec::new(),
        table: None,
        chart: None,
        language: Language::En,
        footer: rule_id.to_owned(),
        details: serde_json::Value::Null,
        runbook_url: String::new(),
        answers: Answers::None,
        mentions: Vec::new(),
        also_to: Vec::new(),
        may_recur: false,
        is_well: false,
        at,
    }
}
