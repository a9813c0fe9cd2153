//! Who sends events and who is asked for them: `sources.toml` in the home, checked as a whole before anything begins.

use std::{collections::HashMap, path::Path};

use atalaya_store::{IntakeLimits, Window};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::{
    IngestError,
    connectors::{Connection, RawConnection},
    receivers::HmacScheme,
};

const DEFAULTS: &str = include_str!("../defaults.toml");
/// The file's name in a home.
pub const SOURCES_FILE: &str = "sources.toml";

/// How a source's requests are read and proven to be its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Segment's HTTP Tracking API, and what speaks it: RudderStack, Jitsu.
    Segment,
    /// Rows of a kind as JSON lines.
    Records,
    /// CloudEvents 1.0 over HTTP: structured, batched or binary.
    CloudEvents,
    /// Prometheus remote-write, versions 1 and 2.
    Prometheus,
    /// OTLP metrics over HTTP.
    Otlp,
    /// Webhooks of Stripe.
    Stripe,
    /// Webhooks of GitHub.
    Github,
    /// Webhooks of HubSpot, version 3 of its signatures.
    Hubspot,
    /// Webhooks signed as Svix does for many vendors.
    Svix,
    /// Webhooks of PagerDuty, version 3.
    Pagerduty,
    /// Buttons pressed in Slack.
    Slack,
    /// Webhooks whose signature is described in `[source.hmac]`.
    Hmac,
}

/// A source that may send.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name: in the `source` column of every row.
    pub name: String,
    /// How it speaks.
    pub protocol: Protocol,
    /// The address of its webhooks as the vendor knows it, where that is signed too.
    pub(crate) public_url: Option<String>,
    /// How its webhooks are signed, where the vendor's way is none of the known.
    pub(crate) hmac: Option<HmacScheme>,
    keys: Vec<Secret>,
}

impl Source {
    /// Its secrets: two while one is being changed for another.
    pub(crate) fn secrets(&self) -> Vec<&[u8]> {
        self.keys.iter().map(|key| key.0.as_slice()).collect()
    }
}

/// What proves that a request is the source's. It is never printed.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// The sources of a home, and the limits of what they send together.
#[derive(Debug, Clone)]
pub struct Sources {
    sources: Vec<Source>,
    connections: Vec<Connection>,
    limits: IntakeLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSources {
    #[serde(default)]
    intake: RawIntake,
    #[serde(default)]
    source: Vec<RawSource>,
    #[serde(default)]
    connection: Vec<RawConnection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIntake {
    in_flight_mb: Option<u32>,
    hot_mb: Option<u32>,
    flush_at_mb: Option<u32>,
    flush_after_secs: Option<u32>,
    keep_free_mb: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    name: String,
    protocol: Protocol,
    key_variable: Option<String>,
    key_file: Option<String>,
    window_days: Option<u32>,
    public_url: Option<String>,
    hmac: Option<HmacScheme>,
}

impl Sources {
    /// Reads the sources of a home; `None` when it names none. `variable` reads the environment.
    pub fn load(home_dir: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, IngestError> {
        let path = home_dir.join(SOURCES_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(IngestError::BadSources {
                    place: path.display().to_string(),
                    reason: format!("cannot be read: {error}"),
                });
            }
        };
        let read = |name: &str| std::fs::read_to_string(home_dir.join(name)).map_err(|error| error.to_string());
        Self::parse(&path.display().to_string(), &text, variable, read).map(Some)
    }

    /// Reads sources from text; `place` names it in errors, `read` gives a file beside it.
    pub fn parse(
        place: &str,
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Self, IngestError> {
        let bad = |place: String, reason: String| IngestError::BadSources { place, reason };
        let defaults: RawSources =
            toml::from_str(DEFAULTS).map_err(|error| bad("defaults.toml".to_owned(), error.to_string()))?;
        let raw: RawSources = toml::from_str(text).map_err(|error| bad(place.to_owned(), error.to_string()))?;
        let key = |name: &Option<String>, file: &Option<String>| match (name, file) {
            (Some(name), None) => {
                variable(name).ok_or_else(|| ("key_variable", format!("the environment has no {name}")))
            }
            (None, Some(name)) => read(name).map_err(|error| ("key_file", format!("{name} cannot be read: {error}"))),
            _ => {
                let reason = "say one of key_variable (the environment) and key_file (a file in the home)";
                Err(("key", reason.to_owned()))
            }
        };
        let mut sources: Vec<Source> = Vec::new();
        let mut windows = HashMap::new();
        for raw in raw.source {
            let at = |field: &str| format!("{place}: source {:?}: {field}", raw.name);
            if !well_named(&raw.name) {
                return Err(bad(at("name"), NAMES.to_owned()));
            }
            if sources.iter().any(|known| known.name == raw.name) {
                return Err(bad(at("name"), "stands there twice".to_owned()));
            }
            let key = key(&raw.key_variable, &raw.key_file).map_err(|(field, reason)| bad(at(field), reason))?;
            let keys: Vec<Secret> = key
                .split_whitespace()
                .map(|key| Secret(key.as_bytes().to_vec()))
                .collect();
            if keys.is_empty() || keys.iter().any(|key| key.0.len() < 8) {
                return Err(bad(at("key"), "has fewer than 8 characters".to_owned()));
            }
            let is_known = |source: &Source| {
                source.protocol == raw.protocol
                    && source.keys.iter().any(|known| keys.iter().any(|key| key.0 == known.0))
            };
            if sources.iter().any(is_known) {
                return Err(bad(at("key"), "is another source's too".to_owned()));
            }
            if (raw.protocol == Protocol::Hubspot) != raw.public_url.is_some() {
                let reason = "belongs to protocol hubspot, which signs the address that it knows";
                return Err(bad(at("public_url"), reason.to_owned()));
            }
            if (raw.protocol == Protocol::Hmac) != raw.hmac.is_some() {
                return Err(bad(
                    at("hmac"),
                    "belongs to protocol hmac and says how it signs".to_owned(),
                ));
            }
            if raw.hmac.as_ref().is_some_and(|hmac| !hmac.signed.contains("{body}")) {
                return Err(bad(
                    at("hmac.signed"),
                    "has no {body}: anybody could change it".to_owned(),
                ));
            }
            let signs_time = |hmac: &HmacScheme| hmac.signed.contains("{timestamp}") == hmac.timestamp_header.is_some();
            if !raw.hmac.as_ref().is_none_or(signs_time) {
                let reason = "and timestamp_header belong together: a time that is not signed proves nothing";
                return Err(bad(at("hmac.signed"), format!("{{timestamp}} {reason}")));
            }
            // Longer than any known client tries again; vendors send webhooks again for days, by hand for weeks.
            let usual = match raw.protocol {
                Protocol::Segment | Protocol::Records | Protocol::CloudEvents => Window::Days(2),
                // Prometheus gives up after two hours, and collectors long before.
                Protocol::Prometheus | Protocol::Otlp => Window::Hours(3),
                _ => Window::Days(35),
            };
            let window = raw.window_days.map_or(usual, Window::Days);
            if let Window::Days(days) = window
                && !(1..=400).contains(&days)
            {
                return Err(bad(at("window_days"), format!("{days} is not between 1 and 400")));
            }
            windows.insert(raw.name.clone(), window);
            sources.push(Source {
                name: raw.name,
                protocol: raw.protocol,
                public_url: raw.public_url,
                hmac: raw.hmac,
                keys,
            });
        }
        let mut connections: Vec<Connection> = Vec::new();
        for raw in raw.connection {
            let at = |field: &str| format!("{place}: connection {:?}: {field}", raw.name);
            if !well_named(&raw.name) {
                return Err(bad(at("name"), NAMES.to_owned()));
            }
            // What is made of a webhook and of an answer are different rows: they must not pass for one another.
            if windows.contains_key(&raw.name) {
                return Err(bad(at("name"), "stands there twice".to_owned()));
            }
            let key = match (&raw.key_variable, &raw.key_file) {
                (None, None) if !raw.needs_key() => String::new(),
                (name, file) => key(name, file).map_err(|(field, reason)| bad(at(field), reason))?,
            };
            windows.insert(raw.name.clone(), Window::Days(35));
            let connection = raw.check(Secret(key.trim().as_bytes().to_vec()), &read);
            connections.push(
                connection
                    .map_err(|(name, field, reason)| bad(format!("{place}: connection {name:?}: {field}"), reason))?,
            );
        }
        let limits = limits(raw.intake, defaults.intake, windows);
        let limits = limits.map_err(|(field, reason)| bad(format!("{place}: intake: {field}"), reason))?;
        Ok(Self {
            sources,
            connections,
            limits,
        })
    }

    /// None, and the limits that hold where nothing else is said.
    pub fn none() -> Result<Self, IngestError> {
        Self::parse("defaults.toml", "", |_| None, |_| Err(String::new()))
    }

    /// The limits of what they send together.
    pub fn limits(&self) -> &IntakeLimits {
        &self.limits
    }

    /// The sources that are asked.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// The sources that push.
    pub fn all(&self) -> &[Source] {
        &self.sources
    }

    /// The source of a protocol whose key this is. Every key is looked at, and each for the same time whatever it holds.
    pub fn by_key(&self, protocol: Protocol, key: &[u8]) -> Option<&Source> {
        let mut found = None;
        for source in self.sources.iter().filter(|source| source.protocol == protocol) {
            for known in &source.keys {
                if bool::from(known.0.ct_eq(key)) {
                    found = Some(source);
                }
            }
        }
        found
    }

    /// The source of that name.
    pub fn by_name(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }
}

const NAMES: &str = "is not 1 to 40 of a-z, 0-9, _ and -";

fn well_named(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(plain)
}

fn limits(
    raw: RawIntake,
    defaults: RawIntake,
    windows: HashMap<String, Window>,
) -> Result<IntakeLimits, (&'static str, String)> {
    let mb = |name: &'static str, value: Option<u32>, default: Option<u32>| match value.or(default) {
        Some(value @ 1..=2000) => Ok(value << 20),
        other => Err((name, format!("{} is not between 1 and 2000", other.unwrap_or_default()))),
    };
    let flush_after_secs = raw.flush_after_secs.or(defaults.flush_after_secs).unwrap_or_default();
    if !(1..=86_400).contains(&flush_after_secs) {
        return Err((
            "flush_after_secs",
            format!("{flush_after_secs} is not between 1 and 86400"),
        ));
    }
    let flush_at_bytes = mb("flush_at_mb", raw.flush_at_mb, defaults.flush_at_mb)? as usize;
    let hot_bytes = mb("hot_mb", raw.hot_mb, defaults.hot_mb)? as usize;
    if hot_bytes < 2 * flush_at_bytes {
        return Err((
            "hot_mb",
            "is less than twice flush_at_mb: what arrives during a flush must fit".to_owned(),
        ));
    }
    Ok(IntakeLimits {
        in_flight_bytes: mb("in_flight_mb", raw.in_flight_mb, defaults.in_flight_mb)?,
        hot_bytes,
        flush_at_bytes,
        flush_after_secs,
        keep_free_bytes: raw.keep_free_mb.or(defaults.keep_free_mb).unwrap_or_default() << 20,
        windows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Sources, String> {
        let variable = |name: &str| (name == "WEB_KEY").then(|| "web-key-123\n".to_owned());
        let read = |name: &str| match name {
            "shop.key" => Ok("shop-key-123".to_owned()),
            _ => Err("no such file".to_owned()),
        };
        Sources::parse("sources.toml", text, variable, read).map_err(|error| error.to_string())
    }

    const WEB: &str = "[[source]]\nname = 'web'\nprotocol = 'segment'\nkey_variable = 'WEB_KEY'\n";

    #[test]
    fn a_source_is_known_by_its_key_and_protocol() {
        let sources = parse(&format!(
            "{WEB}[[source]]\nname = 'shop'\nprotocol = 'records'\nkey_file = 'shop.key'\nwindow_days = 35\n"
        ))
        .unwrap();
        assert_eq!(sources.by_key(Protocol::Segment, b"web-key-123").unwrap().name, "web");
        assert!(sources.by_key(Protocol::Records, b"web-key-123").is_none());
        assert!(sources.by_key(Protocol::Segment, b"web-key-124").is_none());
        assert_eq!(sources.limits().windows["shop"], Window::Days(35));
        assert_eq!(sources.limits().flush_after_secs, 60);
        let printed = format!("{sources:?}");
        assert!(
            !printed.contains("web-key") && printed.contains("(secret)"),
            "{printed}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_source_and_field() {
        for (text, expected) in [
            (format!("{WEB}colour = 1"), "unknown field `colour`"),
            (format!("{WEB}{WEB}"), "source \"web\": name: stands there twice"),
            (
                WEB.replace("segment", "hubspot"),
                "public_url: belongs to protocol hubspot",
            ),
            (WEB.replace("segment", "hmac"), "hmac: belongs to protocol hmac"),
            (
                format!(
                    "{}[source.hmac]\nheader = 'x'\nsigned = 'x'",
                    WEB.replace("segment", "hmac")
                ),
                "hmac.signed: has no {body}",
            ),
            (WEB.replace("'web'", "'Web'"), "source \"Web\": name"),
            (
                WEB.replace("WEB_KEY", "NO_KEY"),
                "key_variable: the environment has no NO_KEY",
            ),
            (
                WEB.replace("key_variable = 'WEB_KEY'", "key_file = 'x'"),
                "key_file: x cannot be read: no such file",
            ),
            (WEB.replace("key_variable = 'WEB_KEY'", ""), "say one of key_variable"),
            (
                format!("{WEB}window_days = 0"),
                "window_days: 0 is not between 1 and 400",
            ),
            (WEB.replace("segment", "telegraph"), "unknown variant `telegraph`"),
            (
                "[intake]\nhot_mb = 10".to_owned(),
                "intake: hot_mb: is less than twice flush_at_mb",
            ),
            (
                format!("{WEB}{}", WEB.replace("'web'", "'app'")),
                "source \"app\": key: is another source's too",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected) && error.contains("sources.toml"), "{error}");
            assert!(!error.contains("web-key"), "{error}");
        }
    }
}
