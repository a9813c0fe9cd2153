//! Whole-system tests: the built commands against real components.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod alerts;
mod backtests;
mod bad_input;
mod board;
mod books;
mod cash;
mod cdnow;
mod clients;
mod crash;
mod demo;
mod dialect;
mod digests;
mod drill;
mod economics;
mod floors;
mod following;
mod golden;
mod judges;
mod letters;
mod lifetimes;
mod log_crash;
mod money;
mod oncall;
mod operations;
mod operator;
mod owner;
mod peers;
mod policies;
mod postgres;
mod power_loss;
mod pulse;
mod questions;
mod random_companies;
mod receivers;
mod recognition;
mod rota;
mod samples;
mod segments;
mod signals;
mod singer;
mod slack;
mod stripe;
mod vintages;
mod webhooks;
