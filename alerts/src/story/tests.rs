use atalaya_model::Language;
use chrono::DateTime;

use super::{LISTED, Story};
use crate::{IncidentKind, message::Action, shipped};

#[test]
fn what_cannot_be_seen_is_named_and_the_rest_is_counted() {
    let rules = shipped().unwrap();
    let rule = rules.get("cpu_high").unwrap();
    let told = |hosts: usize, language| {
        let members: Vec<_> = (0..hosts).map(|host| (format!("web-{host}"), None)).collect();
        let story = Story {
            rule,
            kind: IncidentKind::Blind,
            action: Action::Trigger,
            dedup_key: "k",
            company: "Acme",
            members: &members,
            observed: None,
            reason: Some("no value"),
            drivers: &[],
            ending: None,
            at: DateTime::UNIX_EPOCH,
        };
        story.tell(language).lines.join("\n")
    };
    let all = told(LISTED, Language::En);
    assert!(all.contains("web-9)") && !all.contains("more"), "{all}");
    let some = told(LISTED + 3, Language::En);
    assert!(
        some.contains("web-9, and more: 3)") && !some.contains("web-10"),
        "{some}"
    );
    let spanish = told(LISTED + 3, Language::Es);
    assert!(spanish.contains("web-9, y más: 3)"), "{spanish}");
}
