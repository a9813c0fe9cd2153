//! The demo company: a course with webinars, a marketing SaaS and a document generator, sold in Spain and Latin America.
//!
//! A seeded generator that writes the very files a user would import. The same seed, number of customers and last day
//! give the same bytes.
#![deny(missing_docs)]

mod company;
mod course;
mod documents;
mod drill;
mod files;
mod incident;
mod market;
mod saas;
mod spend;

pub use company::{Company, DemoError};
pub use drill::Drill;
pub use incident::Incident;
