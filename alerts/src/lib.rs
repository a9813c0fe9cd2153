//! Alerts: never lost, never lying about delivery, always with the cause.
//!
//! A tick evaluates rules with one "now"; what changes is written with its notification intents and a ledger row in one
//! transaction; a sender delivers intents in order and books every attempt.
#![deny(missing_docs)]

mod control;
mod error;
mod evaluate;
mod ledger;
mod message;
mod notify;
mod rule;
mod runner;
mod sender;

pub use control::{Control, Incident, Intent, RuleState};
pub use error::AlertError;
pub use evaluate::{Verdict, evaluate};
pub use ledger::LedgerRow;
pub use notify::{Answer, Class, Route, Routes};
pub use rule::{Rule, rules};
pub use runner::{Runner, TickReport};
pub use sender::Sender;
