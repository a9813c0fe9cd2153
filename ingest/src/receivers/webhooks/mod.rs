//! Webhooks of vendors: whose they are is proven over the raw bytes, before anything of them is read.

mod events;
mod signature;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};

use super::{Receivers, answer::Refusal, body, parsed::Received};
use crate::{Protocol, Source};
use events::Vendor;
pub(crate) use signature::HmacScheme;
use signature::Signed;

/// `POST /v1/webhooks/NAME`.
pub(crate) async fn webhook(
    State(receivers): State<Arc<Receivers>>,
    Path(name): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = receivers
        .sources
        .by_name(&name)
        .filter(|source| vendor(source).is_some());
    let answered = async {
        let unknown = || {
            Refusal::Never(
                StatusCode::NOT_FOUND,
                format!("no source of webhooks is named {name:?}"),
            )
        };
        let source = known.ok_or_else(unknown)?;
        let vendor = vendor(source).ok_or_else(unknown)?;
        let text = body::read(&headers, body, &receivers.room, body::MAX_BODY_BYTES).await?;
        let request = Signed {
            headers: &headers,
            method: method.as_str(),
            query: query.as_deref(),
            body: text.text.as_bytes(),
            now: receivers.clock.now(),
        };
        verify(source, vendor, &request).map_err(|reason| Refusal::Never(StatusCode::UNAUTHORIZED, reason))?;
        let parse =
            |received: &Received<'_>| events::parse(vendor, &headers, &text.text, received).map_err(Refusal::bad);
        receivers.land(source, text.text.as_bytes(), parse).await
    };
    let answered = answered.await;
    receivers.count(known, &answered);
    answered.map(|_| StatusCode::OK.into_response())
}

fn vendor(source: &Source) -> Option<Vendor<'_>> {
    match source.protocol {
        Protocol::Stripe => Some(Vendor::Stripe),
        Protocol::Github => Some(Vendor::GitHub),
        Protocol::Hubspot => Some(Vendor::HubSpot),
        Protocol::Svix => Some(Vendor::Svix),
        Protocol::Pagerduty => Some(Vendor::PagerDuty),
        Protocol::Slack => Some(Vendor::Slack),
        Protocol::Hmac => source.hmac.as_ref().map(Vendor::Described),
        Protocol::Segment | Protocol::Records | Protocol::CloudEvents | Protocol::Prometheus | Protocol::Otlp => None,
    }
}

fn verify(source: &Source, vendor: Vendor<'_>, request: &Signed<'_>) -> Result<(), String> {
    let secrets = source.secrets();
    match vendor {
        Vendor::Stripe => signature::stripe(&secrets, request),
        Vendor::GitHub => signature::github(&secrets, request),
        Vendor::HubSpot => signature::hubspot(&secrets, source.public_url.as_deref().unwrap_or_default(), request),
        Vendor::Svix => signature::svix(&secrets, request),
        Vendor::PagerDuty => signature::pagerduty(&secrets, request),
        Vendor::Slack => signature::slack(&secrets, request),
        Vendor::Described(scheme) => signature::described(&secrets, scheme, request),
    }
}
