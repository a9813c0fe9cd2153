//! The attributes that customers are split by: the newest known, whichever source knew last.

use arrow::array::RecordBatch;

use crate::{
    Knowledge, MovementError,
    run::{Columns, Keys, Numbers, columns},
    text::{self, NONE, TextColumn, Texts},
};

/// Country, market and channel; [`NONE`] where they are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) country: u32,
    pub(crate) market: u32,
    pub(crate) channel: u32,
}

impl Attributes {
    pub(crate) const UNKNOWN: Self = Self {
        country: NONE,
        market: NONE,
        channel: NONE,
    };
}

/// One version of a customer's record.
#[derive(Debug)]
pub(crate) struct Profile {
    source: u32,
    record_key: String,
    record_version: i64,
    recorded_at: i64,
    arrival_seq: i64,
    is_deleted: bool,
    attributes: Attributes,
}

columns! {
    /// The columns of a customer's record that figures are split by.
    ProfileColumns {
        source: TextColumn "source", operation: TextColumn "operation", record_key: Keys "record_key",
        record_version: Numbers "record_version", recorded_at: Numbers "recorded_at", landed_at: Numbers "landed_at",
        arrival_seq: Numbers "arrival_seq", country: TextColumn "country", market: TextColumn "market", channel: TextColumn "channel",
    }
}

impl Columns for ProfileColumns {
    const NAMES: &'static [&'static str] = ProfileColumns::NAMES;
    type Into = Vec<Profile>;

    fn turn_to(&mut self, batch: &RecordBatch, texts: &mut Texts) -> Result<(), MovementError> {
        self.turn(batch, texts);
        Ok(())
    }

    fn gather(
        &self,
        row: usize,
        knowledge: &Knowledge,
        _: &Texts,
        profiles: &mut Vec<Profile>,
    ) -> Result<(), &'static str> {
        let (recorded_at, landed_at) = (self.recorded_at.required(row)?, self.landed_at.required(row)?);
        if knowledge.covers(recorded_at, landed_at) {
            profiles.push(Profile {
                source: self.source.get(row),
                record_key: self.record_key.required(row)?.to_owned(),
                record_version: self.record_version.required(row)?,
                recorded_at,
                arrival_seq: self.arrival_seq.required(row)?,
                is_deleted: self.operation.get(row) != text::UPSERT,
                attributes: Attributes {
                    country: self.country.get(row),
                    market: self.market.get(row),
                    channel: self.channel.get(row),
                },
            });
        }
        Ok(())
    }
}

/// The attributes that the newest record has, of each record the newest version unless it takes the record back.
pub(crate) fn newest(profiles: &mut Vec<Profile>, texts: &Texts) -> Attributes {
    let rank = |profile: &Profile| (profile.record_version, profile.recorded_at, profile.arrival_seq);
    profiles.sort_unstable_by(|left, right| {
        (left.source, &left.record_key)
            .cmp(&(right.source, &right.record_key))
            .then_with(|| rank(right).cmp(&rank(left)))
    });
    profiles.dedup_by(|later, first| (later.source, &later.record_key) == (first.source, &first.record_key));
    profiles
        .iter()
        .filter(|profile| !profile.is_deleted)
        .min_by(|left, right| {
            (right.recorded_at, right.arrival_seq)
                .cmp(&(left.recorded_at, left.arrival_seq))
                .then_with(|| texts.get(left.source).cmp(&texts.get(right.source)))
        })
        .map_or(Attributes::UNKNOWN, |profile| profile.attributes)
}
