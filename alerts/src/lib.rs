//! Alerts: never lost, never lying about delivery, always with the cause.
//!
//! A tick evaluates rules with one "now"; what changes is written with its notification intents and a ledger row in one
//! transaction; a sender delivers intents in order and books every attempt.
#![deny(missing_docs)]

mod backtest;
mod canary;
mod control;
mod decide;
mod dedup_key;
mod digest;
mod drivers;
mod error;
mod escalate;
mod hear;
mod heart;
mod judge;
mod ledger;
mod limit;
mod message;
mod notices;
mod notify;
mod observe;
mod oncall;
mod pace;
mod pulse;
mod rule;
mod runner;
mod sender;
mod standing;
mod story;
mod tick;
mod words;

pub use backtest::{Replayed, backtest};
pub use canary::{is_canary_due, send_canary};
pub use control::{Canary, Control, Figures, Incident, IncidentKind, Intent, Look, Silence, TimelineEntry};
pub use error::AlertError;
pub use heart::Heart;
pub use judge::{Condition, Judgement, Side};
pub use ledger::LedgerRow;
pub use limit::{Limit, show};
pub use notify::{Answer, Class as AnswerClass, Route, Routes};
pub use oncall::{
    Burden, Gap, Level, ONCALL_FILE, Oncall, Override, Person, Policy, Rotation, Shift, Simulation, Window,
};
pub use pulse::{Beats, Pulse, tell_late};
pub use rule::{Class, Group, Rule, RuleSet, Severity, Watch, WhenGone, shipped};
pub use runner::{Runner, TickReport};
pub use sender::Sender;
pub use standing::{Change, Phase, Standing, Timing};
