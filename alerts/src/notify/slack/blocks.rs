//! How a message is laid out in Slack's blocks, within Slack's limits.

use serde_json::{Value, json};

use crate::message::{Action, Answers, Chart, Message, Table};

/// Slack's own limits: a header has 150 characters, a section 3,000, a title of a chart 50, a label in it 20.
const HEADER_CHARS: usize = 150;
const SECTION_CHARS: usize = 2_900;
const CHART_TITLE_CHARS: usize = 50;
const LABEL_CHARS: usize = 20;
/// A message whose blocks have more text together is refused; the limit is written nowhere (bolt-js 2867).
const MESSAGE_CHARS: usize = 9_000;
/// Rows of a table before it is turned over.
const PAGE_ROWS: usize = 10;

/// How long the button keeps a thing quiet.
pub(crate) const SNOOZE_SECS: i64 = 3_600;
/// What the buttons are called when Slack tells that one was pressed.
pub(crate) const ACKNOWLEDGE: &str = "atalaya_acknowledge";
pub(crate) const SNOOZE: &str = "atalaya_snooze";

/// The text, the blocks, and the buttons that a bot can add to them.
pub(crate) fn body(message: &Message) -> Value {
    let mark = match message.action {
        Action::Trigger | Action::Update if message.severity == "critical" => "🔴",
        Action::Trigger | Action::Update if message.severity == "info" => "🔵",
        Action::Trigger | Action::Update => "🟠",
        Action::Acknowledge => "✋",
        Action::GiveBack => "🟠",
        Action::Resolve if message.is_well => "🟢",
        Action::Resolve => "⚪",
    };
    let title = format!("{mark} {}", message.title);
    let section = message.lines.join("\n");
    let mut blocks = vec![header(&title)];
    // An empty block would be refused.
    blocks.extend(
        Some(&section)
            .filter(|text| !text.is_empty())
            .map(|text| self::section(text)),
    );
    let footer = Some(&message.footer)
        .filter(|text| !text.is_empty())
        .map(|text| context(text));
    let room = MESSAGE_CHARS.saturating_sub(section.chars().count());
    blocks.extend(message.chart.as_ref().map(chart));
    if let Some(table) = &message.table {
        let (shown, left_out) = fitting(table, room);
        blocks.extend((!shown.rows.is_empty()).then(|| data_table(&shown)));
        blocks.extend(crate::message::and_more(message.language, left_out).map(|text| context(&text)));
    }
    blocks.extend(footer);
    blocks.extend(mentions(&message.mentions));
    let text = format!("{title}\n{}", message.all_lines().join("\n"));
    // Phones and screen readers show the text; it is complete by itself.
    let mut body = json!({"text": escape(&text), "blocks": blocks});
    if message.action == Action::Trigger {
        body["buttons"] = buttons(message).into();
    }
    body
}

/// Plain text: nothing that a customer wrote can mention a channel or a person.
fn header(text: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": cut(text, HEADER_CHARS)}})
}

pub(super) fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "plain_text", "text": cut(text, SECTION_CHARS)}})
}

pub(super) fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [{"type": "plain_text", "text": cut(text, SECTION_CHARS)}]})
}

/// Ids come from the home's own file, checked: no customer's text is ever read as a mention.
fn mentions(ids: &[String]) -> Option<Value> {
    let text = ids.iter().map(|id| format!("<@{id}>")).collect::<Vec<_>>().join(" ");
    let element = json!({"type": "mrkdwn", "text": text});
    (!ids.is_empty()).then(|| json!({"type": "context", "elements": [element]}))
}

fn chars(table: &Table) -> usize {
    table
        .rows
        .iter()
        .chain([&table.header])
        .flatten()
        .map(|cell| cell.chars().count())
        .sum()
}

/// As many rows as there is room for, and how many are left out.
fn fitting(table: &Table, room: usize) -> (Table, usize) {
    let mut shown = table.clone();
    while chars(&shown) > room && !shown.rows.is_empty() {
        shown.rows.pop();
    }
    let left_out = table.rows.len() - shown.rows.len();
    (shown, left_out)
}

fn data_table(table: &Table) -> Value {
    // A cell without text would be refused.
    let cell = |text: &String| json!({"type": "raw_text", "text": if text.is_empty() { "–" } else { text }});
    let rows = [&table.header].into_iter().chain(&table.rows);
    let rows: Vec<Vec<Value>> = rows.map(|row| row.iter().map(cell).collect()).collect();
    json!({"type": "data_table", "caption": table.caption, "page_size": PAGE_ROWS, "rows": rows})
}

fn chart(chart: &Chart) -> Value {
    let labels: Vec<String> = chart.categories.iter().map(|label| cut(label, LABEL_CHARS)).collect();
    let series: Vec<Value> = chart
        .series
        .iter()
        .map(|(name, values)| {
            let points = labels.iter().zip(values);
            let data: Vec<Value> = points
                .map(|(label, value)| json!({"label": label, "value": value}))
                .collect();
            json!({"name": cut(name, LABEL_CHARS), "data": data})
        })
        .collect();
    let mut axes = json!({"categories": labels});
    if !chart.unit.is_empty() {
        axes["y_label"] = chart.unit.clone().into();
    }
    json!({
        "type": "data_visualization",
        "title": cut(&chart.title, CHART_TITLE_CHARS),
        "chart": {"type": "line", "series": series, "axis_config": axes},
    })
}

fn buttons(message: &Message) -> Vec<Value> {
    let pick = |english, spanish| message.language.pick(english, spanish);
    let button = |action: &str, text: &str| {
        json!({
            "type": "button", "action_id": action, "value": message.dedup_key, "text": {"type": "plain_text", "text": text},
        })
    };
    let mut take = button(ACKNOWLEDGE, pick("I have it", "Me encargo"));
    take["style"] = "primary".into();
    let mut found = match message.answers {
        Answers::None => Vec::new(),
        Answers::Take => vec![take],
        Answers::TakeOrQuiet => vec![take, button(SNOOZE, pick("Quiet for 1 h", "Silenciar 1 h"))],
    };
    if !message.runbook_url.is_empty() {
        found.push(json!({
            "type": "button", "action_id": "atalaya_runbook", "url": message.runbook_url,
            "text": {"type": "plain_text", "text": pick("Runbook", "Procedimiento")},
        }));
    }
    found
}

/// The same body written more plainly: without its link, without its chart, then with its table as text, then its text alone.
pub(super) fn plainer(body: &str) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    if let Some(buttons) = body["buttons"].as_array_mut()
        && let Some(at) = buttons.iter().position(|button| button["url"].is_string())
    {
        // Whatever stands in a rule's address, it must not cost the message.
        buttons.remove(at);
        return Some(body.to_string());
    }
    let blocks = body["blocks"].as_array_mut()?;
    let of = |kind: &'static str| move |block: &Value| block["type"] == kind;
    if let Some(at) = blocks.iter().position(of("data_visualization")) {
        blocks.remove(at);
    } else if let Some(at) = blocks.iter().position(of("data_table")) {
        let cells = |row: &Value| {
            let cells = row.as_array().into_iter().flatten();
            cells
                .filter_map(|cell| cell["text"].as_str())
                .collect::<Vec<_>>()
                .join(" · ")
        };
        let rows = blocks[at]["rows"].as_array().into_iter().flatten();
        let lines: Vec<String> = rows.map(cells).collect();
        blocks[at] = section(&lines.join("\n"));
    } else {
        body.as_object_mut()?.remove("blocks")?;
        let text = cut(body["text"].as_str()?, SECTION_CHARS);
        body["text"] = text.into();
    }
    Some(body.to_string())
}

/// Slack reads `&`, `<` and `>`; anything else is text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

pub(super) fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customer_text_cannot_mention_anybody() {
        assert_eq!(escape("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
    }
}
