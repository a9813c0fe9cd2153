//! Connectors against vendors that enforce their nastiest rules. Time is a clock that stands still until somebody waits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fake;
mod github;
mod google_ads;
mod hubspot;
mod kit;
mod zendesk;
