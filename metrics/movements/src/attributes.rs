//! The attributes that customers are split by, as they were at each time.

use arrow::array::RecordBatch;

use crate::{
    Knowledge, MovementError,
    run::{Columns, Keys, Numbers, columns},
    text::{self, NONE, TextColumn, Texts},
};

/// Country, market and channel; [`NONE`] where they are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// A stretch of time over which a customer is the same, up to the next one; the first began before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    from_at: i64,
    attributes: Attributes,
}

/// What a customer was just before an instant.
pub(crate) fn before(spans: &[Span], at: i64) -> Attributes {
    standing(spans, |span| span.from_at < at)
}

/// What a customer is at an instant: whoever changes then has changed already.
pub(crate) fn at(spans: &[Span], at: i64) -> Attributes {
    standing(spans, |span| span.from_at <= at)
}

fn standing(spans: &[Span], has_begun: impl Fn(&Span) -> bool) -> Attributes {
    let begun = spans.iter().rev().find(|span| has_begun(span));
    begun.map_or(Attributes::UNKNOWN, |span| span.attributes)
}

/// What a customer was from when on: of each attribute what was said last, whichever record said it.
pub(crate) fn spans(profiles: &mut [Profile]) -> Vec<Span> {
    profiles.sort_unstable_by(|left, right| {
        let key = |profile: &Profile| (profile.record_version, profile.recorded_at, profile.arrival_seq);
        (left.source, &left.record_key)
            .cmp(&(right.source, &right.record_key))
            .then_with(|| key(left).cmp(&key(right)))
    });
    let mut said: Vec<Statement<'_>> = Vec::new();
    let same_record = |left: &Profile, right: &Profile| {
        (left.source, left.record_key.as_str()) == (right.source, right.record_key.as_str())
    };
    for record in profiles.chunk_by(same_record) {
        statements(record, &mut said);
    }
    let mut instants: Vec<i64> = said.iter().map(|statement| statement.profile.recorded_at).collect();
    instants.sort_unstable();
    instants.dedup();
    let mut told: Vec<Attributes> = instants.iter().map(|instant| said_at(&said, *instant)).collect();
    since_ever(&mut told);
    let mut spans: Vec<Span> = Vec::new();
    for (instant, attributes) in instants.into_iter().zip(told) {
        if spans.last().is_none_or(|last| last.attributes != attributes) {
            let from_at = if spans.is_empty() { i64::MIN } else { instant };
            spans.push(Span { from_at, attributes });
        }
    }
    spans
}

/// What is learned of a customer for the first time was so before.
fn since_ever(told: &mut [Attributes]) {
    fn fill(told: &mut [Attributes], of: fn(&mut Attributes) -> &mut u32) {
        let first = told.iter_mut().position(|attributes| *of(attributes) != NONE);
        let Some((before, [known, ..])) = first.map(|first| told.split_at_mut(first)) else {
            return;
        };
        let known = *of(known);
        for attributes in before {
            *of(attributes) = known;
        }
    }
    fill(told, |attributes| &mut attributes.country);
    fill(told, |attributes| &mut attributes.market);
    fill(told, |attributes| &mut attributes.channel);
}

/// A version that says something new of its record, and until when it stands.
#[derive(Debug)]
struct Statement<'a> {
    profile: &'a Profile,
    until_at: Option<i64>,
}

/// The statements of a record whose versions are in order. A version that a higher one has overtaken never stands; one
/// that repeats what its record says already says nothing.
fn statements<'a>(record: &'a [Profile], said: &mut Vec<Statement<'a>>) {
    let mut standing: Vec<&Profile> = Vec::new();
    let mut replaced_at = i64::MAX;
    for profile in record.iter().rev() {
        if profile.recorded_at < replaced_at || standing.is_empty() {
            standing.push(profile);
        }
        replaced_at = replaced_at.min(profile.recorded_at);
    }
    standing.reverse();
    standing.dedup_by_key(|profile| (profile.is_deleted, profile.attributes));
    for (place, profile) in standing.iter().enumerate() {
        said.push(Statement {
            profile,
            until_at: standing.get(place + 1).map(|next| next.recorded_at),
        });
    }
}

fn said_at(said: &[Statement<'_>], instant: i64) -> Attributes {
    let stands = |statement: &&Statement<'_>| {
        !statement.profile.is_deleted
            && statement.profile.recorded_at <= instant
            && statement.until_at.is_none_or(|until_at| until_at > instant)
    };
    let newest = |of: fn(&Attributes) -> u32| {
        let known = said.iter().filter(stands).map(|statement| statement.profile);
        let known = known.filter(|profile| of(&profile.attributes) != NONE);
        let last = known.max_by_key(|profile| (profile.recorded_at, profile.arrival_seq));
        last.map_or(NONE, |profile| of(&profile.attributes))
    };
    Attributes {
        country: newest(|attributes| attributes.country),
        market: newest(|attributes| attributes.market),
        channel: newest(|attributes| attributes.channel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Record, version, when it was recorded, country and channel; a version without either takes the record back.
    fn profile(record: &str, version: i64, recorded_at: i64, said: Option<(u32, u32)>) -> Profile {
        let (country, channel) = said.unwrap_or((NONE, NONE));
        Profile {
            source: u32::from(record.starts_with('b')),
            record_key: record.to_owned(),
            record_version: version,
            recorded_at,
            arrival_seq: version * 100 + recorded_at,
            is_deleted: said.is_none(),
            attributes: Attributes {
                country,
                market: NONE,
                channel,
            },
        }
    }

    fn found(mut profiles: Vec<Profile>) -> Vec<(i64, u32, u32)> {
        let spans = spans(&mut profiles);
        let shown = spans.iter();
        shown
            .map(|span| (span.from_at, span.attributes.country, span.attributes.channel))
            .collect()
    }

    const EVER: i64 = i64::MIN;

    #[test]
    fn what_is_said_first_counts_since_ever_and_a_move_from_its_day_on() {
        let moved = vec![profile("a", 1, 10, Some((1, 7))), profile("a", 2, 20, Some((2, 7)))];
        assert_eq!(found(moved), [(EVER, 1, 7), (20, 2, 7)]);
        let spans = spans(&mut [profile("a", 1, 10, Some((1, 7))), profile("a", 2, 20, Some((2, 7)))]);
        assert_eq!((before(&spans, 20).country, at(&spans, 20).country), (1, 2));
        assert_eq!(found(vec![]), []);
    }

    #[test]
    fn a_source_that_repeats_itself_does_not_outvote_who_said_something_new() {
        let told = vec![
            profile("a", 1, 10, Some((1, NONE))),
            profile("b", 1, 20, Some((2, 9))),
            profile("a", 2, 30, Some((1, NONE))),
        ];
        // The channel is known from one of them only, later, was so before, and stays when the other speaks.
        assert_eq!(found(told), [(EVER, 1, 9), (20, 2, 9)]);
        let told = vec![profile("b", 1, 20, Some((2, 9))), profile("a", 1, 30, Some((1, NONE)))];
        assert_eq!(found(told), [(EVER, 2, 9), (30, 1, 9)]);
    }

    #[test]
    fn a_record_that_is_taken_back_leaves_the_word_to_others_and_its_past_alone() {
        let told = vec![
            profile("a", 1, 10, Some((1, 7))),
            profile("b", 1, 20, Some((2, 8))),
            profile("b", 2, 30, None),
            profile("a", 2, 40, None),
        ];
        assert_eq!(found(told), [(EVER, 1, 7), (20, 2, 8), (30, 1, 7), (40, NONE, NONE)]);
    }

    #[test]
    fn a_version_that_comes_after_a_higher_one_is_never_heard() {
        let told = vec![
            profile("a", 1, 10, Some((1, 7))),
            profile("a", 3, 20, Some((3, 7))),
            profile("a", 2, 30, Some((2, 7))),
        ];
        assert_eq!(found(told), [(EVER, 1, 7), (20, 3, 7)]);
    }
}
