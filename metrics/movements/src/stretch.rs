use atalaya_model::ModelError;

use crate::{
    MovementError, Rules,
    price::{Applied, Tiers, mrr_micros},
    state::{Group, State},
    text::{self, NONE, Texts},
};

/// Why an item stopped counting, in the order of the words: of several reasons at one moment the first stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    Delinquent,
    Migration,
    Pause,
    Voluntary,
}

impl Ended {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delinquent => "delinquent",
            Self::Migration => "migration",
            Self::Pause => "pause",
            Self::Voluntary => "voluntary",
        }
    }

    fn of(word: u32) -> Option<Self> {
        match word {
            text::DELINQUENT => Some(Self::Delinquent),
            text::MIGRATION => Some(Self::Migration),
            text::PAUSE => Some(Self::Pause),
            text::VOLUNTARY => Some(Self::Voluntary),
            _ => None,
        }
    }
}

/// What MRR is kept apart by: currency, product and plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) currency: u32,
    pub(crate) product: u32,
    pub(crate) plan: u32,
}

/// A stretch of time over which an item has the same MRR: a state, or a part of one where a discount ends within it.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    /// Whose item it is: a place in the group.
    pub(crate) customer: u32,
    /// The state it is of: a place in the group.
    pub(crate) state: u32,
    pub(crate) part: Part,
    pub(crate) from_at: i64,
    pub(crate) to_at: Option<i64>,
    /// The UTC day (since 1970) on which its state began.
    pub(crate) service_on: i32,
    pub(crate) native_micros: i64,
    pub(crate) ended_by: Ended,
    /// Whether it counts at all.
    pub(crate) is_active: bool,
}

impl Stretch {
    /// Whether it counts just before an instant.
    pub(crate) fn stands_at(&self, at: i64) -> bool {
        self.is_active && self.from_at < at && self.to_at.is_none_or(|to_at| to_at >= at)
    }
}

/// The stretches of all items of a settled group; those that do not count only where they are wanted, or below zero, where
/// none should be.
pub(crate) fn stretches(
    group: &Group,
    order: &[u32],
    tiers: &Tiers,
    rules: &Rules,
    texts: &Texts,
    with_inactive: bool,
    into: &mut Vec<Stretch>,
) -> Result<(), MovementError> {
    into.clear();
    for (place, &index) in order.iter().enumerate() {
        let state = &group.states[index as usize];
        let next = order
            .get(place + 1)
            .map(|&index| &group.states[index as usize])
            .filter(|next| group.same_item(state, next));
        let customer_id = group.customers.get(state.customer as usize).map_or("", String::as_str);
        // Every price is looked up, also where it does not count: a tier that is missing is missing.
        let list_minor = tiers.list_minor(state, customer_id, texts)?;
        let counts = counts(state, rules);
        if !counts && !with_inactive {
            continue;
        }
        cut(state, index, next, counts, list_minor, rules, into).map_err(MovementError::amount(customer_id))?;
    }
    if !with_inactive {
        into.retain(|stretch| stretch.is_active || stretch.native_micros < 0);
    }
    Ok(())
}

fn counts(state: &State, rules: &Rules) -> bool {
    state.is_licensed
        && (rules.collection_paused_counts || !state.is_collection_paused)
        && !(state.cancel_at.is_some() && rules.cancel_counts_at_request)
        && match state.status {
            text::ACTIVE => true,
            text::PAST_DUE => rules.past_due_counts,
            text::PAUSED => rules.paused_counts,
            _ => false,
        }
}

/// The earliest of instants that may be missing.
fn earliest(instants: [Option<i64>; 3]) -> Option<i64> {
    instants.into_iter().flatten().min()
}

fn cut(
    state: &State,
    place: u32,
    next: Option<&State>,
    counts: bool,
    list_minor: i64,
    rules: &Rules,
    into: &mut Vec<Stretch>,
) -> Result<(), ModelError> {
    let paid_at = state.first_paid_at.filter(|_| rules.start_counts_at_payment);
    let starts_at = state
        .valid_from
        .max(state.trial_ends_at.unwrap_or(i64::MIN))
        .max(paid_at.unwrap_or(i64::MIN));
    let dropped_at = match rules.past_due_micros {
        Some(micros) if state.status == text::PAST_DUE => {
            let since = state.past_due_at.unwrap_or(state.valid_from);
            Some(since.checked_add(micros).ok_or(ModelError::Overflow)?)
        }
        _ => None,
    };
    let ends_at = earliest([state.cancel_at, dropped_at, next.map(|next| next.valid_from)]);
    let ended_by = ended_by(state, next, dropped_at, ends_at);

    let cuts = |counts: bool, at: Option<i64>| {
        at.filter(|at| counts && *at > starts_at && ends_at.is_none_or(|ends| *at < ends))
    };
    let repeating_cut = cuts(rules.repeating_counts, state.repeating_ends_at);
    let once_cut = cuts(rules.once_counts, state.once_ends_at);
    let first = earliest([repeating_cut, once_cut, None]);
    let second = match (repeating_cut, once_cut) {
        (Some(one), Some(other)) if one != other => Some(one.max(other)),
        _ => None,
    };
    let service_on = i32::try_from(starts_at.div_euclid(86_400_000_000)).map_err(|_| ModelError::Overflow)?;
    let mut push = |from_at: i64, to_at: Option<i64>| {
        let runs = |counts: bool, ends_at: Option<i64>| counts && ends_at.is_none_or(|ends_at| from_at < ends_at);
        let applied = Applied {
            repeating: runs(rules.repeating_counts, state.repeating_ends_at),
            once: runs(rules.once_counts, state.once_ends_at),
        };
        let native_micros = if counts {
            mrr_micros(state, list_minor, applied, rules)?
        } else {
            0
        };
        let has_length = to_at.is_none_or(|to_at| to_at > from_at);
        into.push(Stretch {
            customer: state.customer,
            state: place,
            part: Part {
                currency: state.currency,
                product: state.product,
                plan: state.plan,
            },
            from_at,
            to_at,
            service_on,
            native_micros,
            ended_by,
            is_active: has_length && counts && (native_micros > 0 || (rules.active_at_zero && list_minor > 0)),
        });
        Ok::<(), ModelError>(())
    };
    push(starts_at, earliest([ends_at, first, None]))?;
    if let Some(first) = first {
        push(first, earliest([ends_at, second, None]))?;
    }
    if let Some(second) = second {
        push(second, ends_at)?;
    }
    Ok(())
}

fn ended_by(state: &State, next: Option<&State>, dropped_at: Option<i64>, ends_at: Option<i64>) -> Ended {
    let ends_it = |at: Option<i64>| at.is_some() && at == ends_at;
    if ends_it(dropped_at) {
        return Ended::Delinquent;
    }
    if ends_it(state.cancel_at) {
        if let Some(reason) = Ended::of(state.cancel_reason) {
            return reason;
        }
        if state.status != text::PAST_DUE {
            return Ended::Voluntary;
        }
    }
    if let Some(next) = next {
        if let Some(reason) = Ended::of(next.cancel_reason) {
            return reason;
        }
        if next.status == text::PAUSED || next.is_collection_paused {
            return Ended::Pause;
        }
        if next.status == text::UNPAID || next.status == text::PAST_DUE {
            return Ended::Delinquent;
        }
    }
    debug_assert_ne!(state.status, NONE);
    if state.status == text::PAST_DUE {
        Ended::Delinquent
    } else {
        Ended::Voluntary
    }
}
