use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, NaiveTime, Utc};

use crate::{
    Company, DemoError,
    files::{Files, OrderChange},
};

/// Something that goes wrong in the demo company, or is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// The payment provider takes back two of three payments of the last week.
    RevenueDrop,
    /// It gives them back.
    RevenueRecovery,
}

impl Incident {
    /// Writes the file of corrected orders; importing it stages the incident. `now` is when the corrections became known.
    pub fn write(self, company: &Company, now: DateTime<Utc>, dir: &Path) -> Result<PathBuf, DemoError> {
        let from = (now.date_naive() - Days::new(8)).and_time(NaiveTime::MIN).and_utc();
        let operation = match self {
            Self::RevenueDrop => "delete",
            Self::RevenueRecovery => "upsert",
        };
        // The version is the moment, so that a later incident always stands over an earlier one.
        let record_version = now.timestamp();
        let mut count = 0_u32;
        let mut files = Files::create(dir)?;
        files.order_filter = Some(Box::new(move |row| {
            if row.ordered_at < from || row.order_type == "refund" {
                return None;
            }
            count += 1;
            (!count.is_multiple_of(3)).then_some(OrderChange {
                operation,
                record_version,
                recorded_at: now,
            })
        }));
        company.each_customer(&mut files, &mut |_| {})?;
        files.finish()?;
        Ok(dir.join("orders.csv"))
    }
}
