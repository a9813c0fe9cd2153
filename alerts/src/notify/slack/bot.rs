//! A bot in a channel: an incident is a thread, its first message shows how it stands, and its buttons answer.

use serde_json::{Value, json};
use url::Url;

use super::blocks::{ACKNOWLEDGE, context, cut, section, unescape};
use crate::AlertError;

/// An edited message may have no longer text.
const EDITED_CHARS: usize = 3_900;

/// Where the bot writes, and its token, which is sent in a header and stored nowhere.
#[derive(Clone)]
pub(crate) struct Bot {
    base: Url,
    pub(crate) token: String,
    pub(crate) channel: String,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Bot")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// What has been written of an incident.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    /// Channel and time stamp of its first message.
    pub(crate) posted: Option<Posted>,
    /// Its body.
    pub(crate) root: Option<Value>,
    /// Who took it, or gave it back, last.
    pub(crate) taken: Option<Value>,
}

/// What identifies a message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Posted {
    pub(crate) channel: String,
    pub(crate) ts: String,
}

/// The step that follows a resolve: the first message shows that it is over.
pub(crate) const SETTLE: &str = "settle";

impl Bot {
    /// Reads `ATALAYA_SLACK_BOT_TOKEN`, `ATALAYA_SLACK_CHANNEL` and `ATALAYA_SLACK_URL` (the vendor's when absent).
    pub(crate) fn from_variables(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, AlertError> {
        let wrong = |variable: &'static str, reason: String| AlertError::Route { variable, reason };
        let Some(token) = variable("ATALAYA_SLACK_BOT_TOKEN") else {
            return Ok(None);
        };
        let channel = variable("ATALAYA_SLACK_CHANNEL").ok_or_else(|| {
            let reason = "is missing beside ATALAYA_SLACK_BOT_TOKEN: the channel's id (C0123456789)".to_owned();
            wrong("ATALAYA_SLACK_CHANNEL", reason)
        })?;
        let base = variable("ATALAYA_SLACK_URL").unwrap_or_else(|| "https://slack.com".to_owned());
        let base =
            Url::parse(&base).map_err(|error| wrong("ATALAYA_SLACK_URL", format!("is not an address: {error}")))?;
        Ok(Some(Self { base, token, channel }))
    }

    /// Where a step of an incident is written, and the body as it is sent.
    pub(crate) fn request(&self, action: &str, body: &Value, thread: &Thread) -> (Url, Value) {
        let (method, body) = compose(&self.channel, action, body, thread);
        let mut url = self.base.clone();
        url.set_path(&format!("/api/{method}"));
        (url, body)
    }
}

/// Steps that change the first message.
pub(super) fn is_edit(action: &str) -> bool {
    matches!(action, "acknowledge" | "give_back" | SETTLE)
}

/// Method and body of a step.
fn compose(channel: &str, action: &str, body: &Value, thread: &Thread) -> (&'static str, Value) {
    let is_edit = is_edit(action) && body["is_reply"] != true;
    let Some(posted) = thread.posted.as_ref().filter(|_| body["is_apart"] != true) else {
        return ("chat.postMessage", with_buttons(channel, body, action == "trigger"));
    };
    match thread.root.as_ref().filter(|_| is_edit) {
        Some(root) => ("chat.update", edited(posted, root, action, body, thread)),
        None => {
            let mut reply = with_buttons(channel, body, false);
            reply["channel"] = posted.channel.clone().into();
            // That another route refused is news of its own and not an answer.
            if action != "notice" {
                reply["thread_ts"] = posted.ts.clone().into();
            }
            // What joins is news for the channel: a thread that a bot began is followed by nobody.
            if action == "update" {
                reply["reply_broadcast"] = true.into();
            }
            ("chat.postMessage", reply)
        }
    }
}

fn with_buttons(channel: &str, body: &Value, has_buttons: bool) -> Value {
    let mut sent = json!({"channel": channel, "text": body["text"], "unfurl_links": false});
    // A message whose blocks were refused has its text alone.
    if let Some(blocks) = body["blocks"].as_array() {
        let buttons = body["buttons"]
            .as_array()
            .filter(|found| has_buttons && !found.is_empty());
        let buttons = buttons.map(|elements| json!({"type": "actions", "elements": elements}));
        sent["blocks"] = blocks.iter().cloned().chain(buttons).collect();
    }
    sent
}

/// The first message as it stands now. What was told stays; who has it, or how it ended, is added, and buttons that do nothing
/// any more are gone.
fn edited(posted: &Posted, root: &Value, action: &str, body: &Value, thread: &Thread) -> Value {
    let empty = Vec::new();
    let of = |body: &Value| body["blocks"].as_array().unwrap_or(&empty).clone();
    let mut blocks = of(root);
    // Of a message that was refused for its form, the text alone was taken.
    if blocks.is_empty() {
        blocks.extend(root["text"].as_str().map(|text| section(&unescape(text))));
    }
    let news = |body: &Value| {
        let sections = of(body).into_iter().filter(|block| block["type"] == "section");
        sections
            .filter_map(|block| block["text"]["text"].as_str().map(context))
            .collect::<Vec<_>>()
    };
    if action == SETTLE {
        // The header says how it stands: that line is read on a phone.
        if let (Some(first), Some(end)) = (blocks.first_mut(), of(body).first()) {
            match first["type"] == "header" {
                true => *first = end.clone(),
                false => blocks.insert(0, end.clone()),
            }
        }
        blocks.extend(thread.taken.iter().flat_map(news));
    }
    blocks.extend(news(body));
    let buttons = root["buttons"].as_array().filter(|_| action != SETTLE);
    let left: Vec<&Value> = buttons
        .into_iter()
        .flatten()
        .filter(|button| action == "give_back" || button["action_id"] != ACKNOWLEDGE)
        .collect();
    if !left.is_empty() {
        blocks.push(json!({"type": "actions", "elements": left}));
    }
    let text = match action {
        SETTLE => body["text"].as_str().unwrap_or_default().to_owned(),
        _ => format!(
            "{}\n{}",
            root["text"].as_str().unwrap_or_default(),
            body["text"].as_str().unwrap_or_default()
        ),
    };
    json!({"channel": posted.channel, "ts": posted.ts, "text": cut(&text, EDITED_CHARS), "blocks": blocks})
}

/// A body that is written as an answer when the first message can no longer be edited.
pub(crate) fn as_reply(body: &str) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let is_reply = body.as_object_mut()?.insert("is_reply".to_owned(), true.into());
    is_reply.is_none().then(|| body.to_string())
}

/// A body that is written to the channel of today, apart from the first message.
pub(crate) fn apart(body: &str) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let is_apart = body.as_object_mut()?.insert("is_apart".to_owned(), true.into());
    is_apart.is_none().then(|| body.to_string())
}

/// What a message is known by, from Slack's answer.
pub(crate) fn posted(answer: &str) -> Option<Posted> {
    serde_json::from_str(answer).ok()
}
