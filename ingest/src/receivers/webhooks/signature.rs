//! Proofs that a webhook is the vendor's: pure functions of the raw bytes, the headers and the present.
//!
//! What is compared is compared in constant time. Where a vendor signs the time of sending, a request that is older or
//! newer than the tolerance is refused: somebody may be playing an old one again.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// How far the time of sending may be from ours: what the vendors' own libraries take.
const TOLERANCE_SECS: i64 = 300;

/// A request as it is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) headers: &'a axum::http::HeaderMap,
    pub(crate) method: &'a str,
    /// The query of the address, without the question mark.
    pub(crate) query: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) now: DateTime<Utc>,
}

impl<'a> Signed<'a> {
    /// The value of a header, by its name in lower case.
    fn header(&self, name: &str) -> Result<&'a str, String> {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| format!("the header {name} is missing"))
    }
}

/// Which hash a message is authenticated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Algorithm {
    /// HMAC-SHA1, which some vendors still use.
    Sha1,
    /// HMAC-SHA256.
    #[default]
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    /// Hexadecimal, of either case.
    #[default]
    Hex,
    /// Standard base64.
    Base64,
}

/// The scheme of a vendor that has none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HmacScheme {
    /// The header with the signature.
    pub(crate) header: String,
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    #[serde(default)]
    pub(crate) encoding: Encoding,
    /// What stands before the signature: `sha256=`.
    #[serde(default)]
    pub(crate) prefix: String,
    /// What is signed, with `{body}` and `{timestamp}`.
    #[serde(default = "only_the_body")]
    pub(crate) signed: String,
    /// The header with the time of sending, in seconds.
    pub(crate) timestamp_header: Option<String>,
    /// The header that identifies the event; without it the body does.
    pub(crate) id_header: Option<String>,
}

fn only_the_body() -> String {
    "{body}".to_owned()
}

fn is_authentic(algorithm: Algorithm, secret: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    fn check<M: Mac + hmac::digest::KeyInit>(secret: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
        // HMAC takes keys of any length.
        let Ok(mut mac) = <M as hmac::digest::KeyInit>::new_from_slice(secret) else {
            return false;
        };
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(signature).is_ok()
    }
    match algorithm {
        Algorithm::Sha1 => check::<Hmac<Sha1>>(secret, parts, signature),
        Algorithm::Sha256 => check::<Hmac<Sha256>>(secret, parts, signature),
        Algorithm::Sha512 => check::<Hmac<Sha512>>(secret, parts, signature),
    }
}

fn decoded(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex => {
            let digits = text.as_bytes();
            if !digits.len().is_multiple_of(2) || !text.is_ascii() {
                return None;
            }
            let bytes = (0..digits.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
            bytes.collect()
        }
    }
}

fn recent(sent_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), String> {
    let sent_at = sent_at.ok_or("the time of sending is no time")?;
    if (now - sent_at).abs() > TimeDelta::seconds(TOLERANCE_SECS) {
        return Err(format!(
            "it was sent at {sent_at}, more than {TOLERANCE_SECS} s from now"
        ));
    }
    Ok(())
}

const WRONG: &str = "no signature is that of this source's secret";

/// `Stripe-Signature: t=...,v1=...[,v1=...]` over `t.body`; the key is the whole secret. Other schemes are passed over.
pub(crate) fn stripe(secrets: &[&[u8]], request: &Signed<'_>) -> Result<(), String> {
    let header = request.header("stripe-signature")?;
    let mut sent = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => sent = Some(value),
            Some(("v1", value)) => signatures.extend(decoded(Encoding::Hex, value)),
            _ => {}
        }
    }
    let sent = sent.ok_or("the header stripe-signature has no t")?;
    let parts = [sent.as_bytes(), b".", request.body];
    one_of(secrets, &signatures, Algorithm::Sha256, &parts)?;
    recent(
        sent.parse().ok().and_then(|secs| DateTime::from_timestamp(secs, 0)),
        request.now,
    )
}

/// `X-Hub-Signature-256: sha256=...` over the body.
pub(crate) fn github(secrets: &[&[u8]], request: &Signed<'_>) -> Result<(), String> {
    let header = request.header("x-hub-signature-256")?;
    let signature = header
        .strip_prefix("sha256=")
        .and_then(|text| decoded(Encoding::Hex, text));
    one_of(secrets, signature.as_slice(), Algorithm::Sha256, &[request.body])
}

/// `X-PagerDuty-Signature: v1=<hex>[,v1=<hex>]` over the body. The time of sending is not signed.
pub(crate) fn pagerduty(secrets: &[&[u8]], request: &Signed<'_>) -> Result<(), String> {
    let signatures = request.header("x-pagerduty-signature")?.split(',');
    let signatures = signatures.filter_map(|part| decoded(Encoding::Hex, part.trim().strip_prefix("v1=")?));
    one_of(
        secrets,
        &signatures.collect::<Vec<_>>(),
        Algorithm::Sha256,
        &[request.body],
    )
}

/// `X-Slack-Signature: v0=<hex>` over `v0:<time of sending>:<body>`.
pub(crate) fn slack(secrets: &[&[u8]], request: &Signed<'_>) -> Result<(), String> {
    let sent = request.header("x-slack-request-timestamp")?;
    let signature = request.header("x-slack-signature")?.strip_prefix("v0=");
    let signature = signature.and_then(|hex| decoded(Encoding::Hex, hex));
    let parts = [b"v0:".as_slice(), sent.as_bytes(), b":", request.body];
    one_of(secrets, &Vec::from_iter(signature), Algorithm::Sha256, &parts)?;
    recent(
        sent.parse().ok().and_then(|secs| DateTime::from_timestamp(secs, 0)),
        request.now,
    )
}

/// `X-HubSpot-Signature-v3` over method, address, body and the time in milliseconds. `public_url` is the address as HubSpot
/// knows it: behind a proxy it is another than ours.
pub(crate) fn hubspot(secrets: &[&[u8]], public_url: &str, request: &Signed<'_>) -> Result<(), String> {
    let sent = request.header("x-hubspot-request-timestamp")?;
    let signature = decoded(Encoding::Base64, request.header("x-hubspot-signature-v3")?);
    let mut address = public_url.to_owned();
    if let Some(query) = request.query {
        address = format!("{address}?{query}");
    }
    // HubSpot signs the address with these escapes undone.
    for (escape, plain) in [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ] {
        address = address.replace(escape, plain).replace(&escape.to_lowercase(), plain);
    }
    let parts = [
        request.method.as_bytes(),
        address.as_bytes(),
        request.body,
        sent.as_bytes(),
    ];
    one_of(secrets, signature.as_slice(), Algorithm::Sha256, &parts)?;
    recent(sent.parse().ok().and_then(DateTime::from_timestamp_millis), request.now)
}

/// `webhook-signature: v1,... v1,...` over `id.timestamp.body`; the key is the base64 after `whsec_`.
pub(crate) fn svix(secrets: &[&[u8]], request: &Signed<'_>) -> Result<(), String> {
    let of = |name: &str| {
        request
            .header(&format!("svix-{name}"))
            .or_else(|_| request.header(&format!("webhook-{name}")))
    };
    let (id, sent, header) = (of("id")?, of("timestamp")?, of("signature")?);
    let signatures: Vec<Vec<u8>> = header
        .split(' ')
        .filter_map(|one| decoded(Encoding::Base64, one.strip_prefix("v1,")?))
        .collect();
    let keys: Vec<Vec<u8>> = secrets
        .iter()
        .filter_map(|secret| {
            let text = std::str::from_utf8(secret).ok()?;
            decoded(Encoding::Base64, text.strip_prefix("whsec_").unwrap_or(text))
        })
        .collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let parts = [id.as_bytes(), b".", sent.as_bytes(), b".", request.body];
    one_of(&keys, &signatures, Algorithm::Sha256, &parts)?;
    recent(
        sent.parse().ok().and_then(|secs| DateTime::from_timestamp(secs, 0)),
        request.now,
    )
}

/// A scheme that the operator described.
pub(crate) fn described(secrets: &[&[u8]], scheme: &HmacScheme, request: &Signed<'_>) -> Result<(), String> {
    let header = request.header(&scheme.header.to_ascii_lowercase())?;
    let signature = header
        .strip_prefix(scheme.prefix.as_str())
        .and_then(|text| decoded(scheme.encoding, text));
    let sent = match &scheme.timestamp_header {
        Some(name) => Some(request.header(&name.to_ascii_lowercase())?),
        None => None,
    };
    let (before, after) = scheme
        .signed
        .split_once("{body}")
        .unwrap_or((scheme.signed.as_str(), ""));
    let fill = |text: &str| text.replace("{timestamp}", sent.unwrap_or_default());
    let (before, after) = (fill(before), fill(after));
    let parts = [before.as_bytes(), request.body, after.as_bytes()];
    one_of(secrets, signature.as_slice(), scheme.algorithm, &parts)?;
    match sent {
        Some(sent) => recent(
            sent.parse().ok().and_then(|secs| DateTime::from_timestamp(secs, 0)),
            request.now,
        ),
        None => Ok(()),
    }
}

/// While a secret is being changed there are two, on either side.
fn one_of(secrets: &[&[u8]], signatures: &[Vec<u8>], algorithm: Algorithm, parts: &[&[u8]]) -> Result<(), String> {
    let mut found = false;
    for secret in secrets {
        for signature in signatures {
            found |= is_authentic(algorithm, secret, parts, signature);
        }
    }
    if found { Ok(()) } else { Err(WRONG.to_owned()) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use chrono::TimeZone;

    use super::*;

    fn now() -> DateTime<Utc> {
        Utc.timestamp_opt(1_700_000_000, 0).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn request<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> Signed<'a> {
        Signed {
            headers,
            method: "POST",
            query: None,
            body,
            now: now(),
        }
    }

    #[test]
    fn slack_s_published_example_verifies_and_an_old_one_is_refused() {
        let secret: &[u8] = b"8f742231b10e8888abcd99yyyzzz85a5";
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let headers = headers(&[
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", signature),
        ]);
        let at = |secs: i64| Signed {
            now: Utc.timestamp_opt(1_531_420_618 + secs, 0).unwrap(),
            ..request(&headers, body.as_bytes())
        };
        assert_eq!(slack(&[secret], &at(300)), Ok(()));
        assert!(slack(&[secret], &at(301)).unwrap_err().contains("300 s"));
        assert_eq!(slack(&[b"another"], &at(0)), Err(WRONG.to_owned()));
        let altered = Signed {
            body: &body.as_bytes()[1..],
            ..at(0)
        };
        assert_eq!(slack(&[secret], &altered), Err(WRONG.to_owned()));
    }

    fn mac(secret: &[u8], text: &str) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new_from_slice(secret).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        crate::file::hex(bytes)
    }

    #[test]
    fn hmac_is_that_of_the_standard() {
        // RFC 4231, test case 2, and RFC 2202, test case 2.
        let message: [&[u8]; 1] = [b"what do ya want for nothing?"];
        for (algorithm, expected) in [
            (
                Algorithm::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let signature = decoded(Encoding::Hex, expected).unwrap();
            assert!(is_authentic(algorithm, b"Jefe", &message, &signature));
            assert!(!is_authentic(algorithm, b"Jeff", &message, &signature));
            assert!(!is_authentic(algorithm, b"Jefe", &message, &signature[1..]));
        }
        assert_eq!(decoded(Encoding::Hex, "abc"), None);
        assert_eq!(decoded(Encoding::Hex, "zz"), None);
        assert_eq!(decoded(Encoding::Hex, "é"), None);
    }

    #[test]
    fn stripe_takes_any_of_its_signatures_and_no_old_ones() {
        let body = b"{\"id\":\"evt_1\"}";
        let signed = |secret: &str, t: i64| hex(&mac(secret.as_bytes(), &format!("{t}.{{\"id\":\"evt_1\"}}")));
        let (t, secrets): (i64, [&[u8]; 1]) = (1_700_000_000, [b"whsec_new"]);
        let good = format!(
            "t={t},v0=abcd,v1={},v1={}",
            signed("whsec_old", t),
            signed("whsec_new", t)
        );
        let old = format!("t={},v1={}", t - 301, signed("whsec_new", t - 301));
        let moved = format!("t={},v1={}", t - 10, signed("whsec_new", t));
        for (header, expected) in [
            (good.as_str(), None),
            (&old, Some("more than 300 s from now")),
            (&moved, Some(WRONG)),
            (&format!("t={t},v0={}", signed("whsec_new", t)), Some(WRONG)),
            (&format!("v1={}", signed("whsec_new", t)), Some("has no t")),
            ("", Some("has no t")),
        ] {
            let headers = headers(&[("stripe-signature", header)]);
            let said = stripe(&secrets, &request(&headers, body));
            match expected {
                None => assert_eq!(said, Ok(())),
                Some(expected) => assert!(said.as_ref().unwrap_err().contains(expected), "{header}: {said:?}"),
            }
            if expected.is_none() {
                assert!(stripe(&secrets, &request(&headers, b"{\"id\":\"evt_2\"}")).is_err());
            }
        }
        assert!(
            stripe(&secrets, &request(&HeaderMap::new(), body))
                .unwrap_err()
                .contains("missing")
        );
    }

    #[test]
    fn github_signs_the_body_alone() {
        // The example of GitHub's documentation.
        let headers = headers(&[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )]);
        let secrets: [&[u8]; 1] = [b"It's a Secret to Everybody"];
        assert_eq!(github(&secrets, &request(&headers, b"Hello, World!")), Ok(()));
        assert!(github(&secrets, &request(&headers, b"Hello, World?")).is_err());
    }

    #[test]
    fn hubspot_signs_the_address_that_it_knows() {
        let url = "https://kpi.example.com/v1/webhooks/crm";
        let signature = STANDARD.encode(mac(b"client", &format!("POST{url}?a=b/c[]1700000000000")));
        let headers = headers(&[
            ("x-hubspot-signature-v3", &signature),
            ("x-hubspot-request-timestamp", "1700000000000"),
        ]);
        let mut asked = request(&headers, b"[]");
        asked.query = Some("a=b%2Fc");
        assert_eq!(hubspot(&[b"client"], url, &asked), Ok(()));
        assert!(hubspot(&[b"client"], "https://other.example.com/v1/webhooks/crm", &asked).is_err());
        asked.now += TimeDelta::seconds(301);
        assert!(
            hubspot(&[b"client"], url, &asked)
                .unwrap_err()
                .contains("more than 300 s")
        );
    }

    #[test]
    fn svix_signs_id_time_and_body() {
        // The example of Svix's documentation, at its own time.
        let headers = headers(&[
            ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("svix-timestamp", "1614265330"),
            ("svix-signature", "v0,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ]);
        let secrets: [&[u8]; 1] = [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
        let mut asked = request(&headers, b"{\"test\": 2432232314}");
        asked.now = Utc.timestamp_opt(1_614_265_340, 0).unwrap();
        assert_eq!(svix(&secrets, &asked), Ok(()));
        asked.body = b"{\"test\": 2432232315}";
        assert_eq!(svix(&secrets, &asked), Err(WRONG.to_owned()));
    }

    #[test]
    fn a_described_scheme_is_followed() {
        let scheme = HmacScheme {
            header: "X-Signature".to_owned(),
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Base64,
            prefix: "v2:".to_owned(),
            signed: "{timestamp}:{body}!".to_owned(),
            timestamp_header: Some("X-Time".to_owned()),
            id_header: None,
        };
        let signature = format!("v2:{}", STANDARD.encode(mac(b"secret", "1700000000:{\"body\"}!")));
        let headers = headers(&[("x-signature", &signature), ("x-time", "1700000000")]);
        assert_eq!(
            described(&[b"secret"], &scheme, &request(&headers, b"{\"body\"}")),
            Ok(())
        );
        assert!(described(&[b"secrets"], &scheme, &request(&headers, b"{\"body\"}")).is_err());
        let mut late = request(&headers, b"{\"body\"}");
        late.now += TimeDelta::seconds(400);
        assert!(described(&[b"secret"], &scheme, &late).is_err());
    }
}
