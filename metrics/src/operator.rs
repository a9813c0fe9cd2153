//! Where the movement operator stands in for definitions: which ones, and under what conditions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use atalaya_catalog::Catalog;
use atalaya_engine::{EngineError, EngineSession, Start};
use atalaya_model::{Kind, KnownBy};
use atalaya_movements::{FigureTable, Figures, Inputs, MovementTable, PeriodEnds, Scan};
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{EvaluationPlan, MetricsError, known_view, records::versions_view};

/// What the operator answers with in place of a definition's SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Customers' rows, by a pass of their own.
    Rows(MovementTable),
    /// Sums over all customers, by one pass for all of them.
    Sums(FigureTable),
}

/// A definition that the operator was proven equal to, by the text it had then.
struct Proven {
    definition: &'static str,
    stand: Stand,
    /// [`text_hash`] of the definition when it was proven.
    hash: &'static str,
    /// Whether the books have a say: then the operator stands in only where no month is closed.
    reads_books: bool,
}

const fn rows(definition: &'static str, table: MovementTable, hash: &'static str, reads_books: bool) -> Proven {
    Proven {
        definition,
        stand: Stand::Rows(table),
        hash,
        reads_books,
    }
}

const fn sums(definition: &'static str, table: FigureTable, hash: &'static str, reads_books: bool) -> Proven {
    Proven {
        definition,
        stand: Stand::Sums(table),
        hash,
        reads_books,
    }
}

/// When a text changes, its SQL runs until somebody has proven the operator again (`cargo test --test system -- operator`,
/// `golden`, `random_companies`) and written down the new hash.
const PROVEN: [Proven; 26] = [
    rows(
        "subscription_item_mrr",
        MovementTable::Items,
        "c5dd11ca99630aa61f1b5a14877e6904812925a673d5a6cf4c3c4f5209055f3f",
        false,
    ),
    rows(
        "customer_steps",
        MovementTable::Steps,
        "e396791a18d32333adad3a6a579957e0dda56f630e0cc9d64301c606c475fb00",
        false,
    ),
    rows(
        "mrr_known_at",
        MovementTable::KnownAt,
        "b33e3c75b0cc4561c60d18651d46d8fd826bcd0e628c39028cfa67355550e0e5",
        false,
    ),
    rows(
        "mrr_at",
        MovementTable::KnownAt,
        "fff9be26905c3e9556023d3e2c5f4b7e69487e325b6d204fb45cb6a1982fc2ab",
        true,
    ),
    rows(
        "customer_ends",
        MovementTable::Ends,
        "9a7da99045b08f36de551903ca3cf37e5eb70d099483f29893ecb6dd21bccba9",
        true,
    ),
    rows(
        "customer_movement_events",
        MovementTable::Events,
        "4ffb94595a4c8af5a51c066ba3fe311ad9233b99ac482f8eb8e1be6892cfedc3",
        false,
    ),
    rows(
        "customer_movements",
        MovementTable::Movements,
        "2ebf4673e06ad47236f1c17a1c82df67e712817b9b86936beacd011085753280",
        true,
    ),
    sums(
        "mrr_ends",
        FigureTable::Ends,
        "de07656792baa60656755028c927441fdad69bc359c3f19acd8f8860b088ce26",
        true,
    ),
    sums(
        "mrr",
        FigureTable::Mrr,
        "352f0f6647476b56a0dfa9c55d5d95fe39466126b9085632de660bd3857510dc",
        true,
    ),
    sums(
        "customers",
        FigureTable::Customers,
        "8aa014f8d9c8d8d2c4d6bb5c05ffb867e947de2cfb9f96f9f9400d43396ffced",
        true,
    ),
    sums(
        "arpa",
        FigureTable::Arpa,
        "8418e5cd89249fe934a59e2330bee1b288e78d7072be5ddf1c8aad3feedfe18c",
        true,
    ),
    sums(
        "mrr_rounding_residue",
        FigureTable::Residue,
        "fd28e56003ce487b3b9f28abad1e85142a71d2f6d705c17510b70f140d07bc66",
        true,
    ),
    sums(
        "cmrr",
        FigureTable::Cmrr,
        "bc0a61b14b6109764b6b43f259dafa84c70e2da0f335b6c81f551bc3cbdec7a1",
        false,
    ),
    sums(
        "scheduled_churn_mrr",
        FigureTable::ScheduledChurn,
        "4370ba384b04bb0810c2b5ccd545f43ee91787b419997f60b239deda7650b15c",
        false,
    ),
    sums(
        "signed_mrr",
        FigureTable::Signed,
        "9080ba3ad212ae68f639ae04957d29fc4c03776d7c9cd628f0cb267cdfe98a0e",
        false,
    ),
    sums(
        "movement_sums",
        FigureTable::MovementSums,
        "09b21e3f7c145f69b5f4919829281f9c3f7c21f88439221169c49fb994563de4",
        true,
    ),
    sums(
        "event_sums",
        FigureTable::EventSums,
        "b33c67cdb788069eb35d8063c228e0838d7e57415ad7b84252d93e5322fbda76",
        false,
    ),
    sums(
        "mrr_movement_events",
        FigureTable::MovementEvents,
        "4c42428500efe674f6df235cf0c73756dc412b15081c809d3641ab83c11af69d",
        true,
    ),
    sums(
        "yearly_sums",
        FigureTable::YearlySums,
        "e18646187af77d5ab755ab61b79e39ff1e39c18a334ad4570ec0f1c10831f1f8",
        true,
    ),
    sums(
        "revenue_cohorts",
        FigureTable::RevenueCohorts,
        "7238b2a124de1a0ec77d68d6f762507fd1a8ab6f0bb8220cab0e34e072e9b7a0",
        true,
    ),
    sums(
        "cohort_retention",
        FigureTable::CohortRetention,
        "31e1206eb56a00bb84da3ea83e74a97f819c348ccf5c87dca0cdec3d398359af",
        true,
    ),
    sums(
        "logo_churn_rate_30d",
        FigureTable::LostIn30Days,
        "1f6a1d1a98e28037b32bdc723481b31fee472fb2e83a3c4e91b222750bf7a5ce",
        true,
    ),
    sums(
        "mrr_birth",
        FigureTable::Birth,
        "1d17b212d345a0b358ccf17abb5333c1835e71b5c339085374d86928c07eebb3",
        false,
    ),
    sums(
        "mrr_not_negative",
        FigureTable::NotNegative,
        "32e2462e3809c7df5b8655206bb74859cd0fb27bc9a1fbdcfa030d10fb479f26",
        false,
    ),
    sums(
        "one_new_per_customer",
        FigureTable::OneNew,
        "a0862a96593f7afef92b22c9cd35b134390675fd7f47523a83037b214f5f8d63",
        true,
    ),
    sums(
        "mrr_events_rollforward",
        FigureTable::EventsRollforward,
        "5f5f76c5de9438378d8d565b44d87a5bf58c9a32f462ddde58438581f87300e6",
        true,
    ),
];

/// SHA-256 of the texts that say what a definition's rows are: its own, all it stands on, and how records are known.
fn text_hash(catalog: &Catalog, definition: &str) -> String {
    let mut hash = Sha256::new();
    for below in catalog.in_order(&[definition]) {
        hash.update(&below.spec.id);
        hash.update([0]);
        hash.update(&below.sql);
        hash.update([0]);
    }
    let at = DateTime::<Utc>::UNIX_EPOCH;
    hash.update(known_view(Kind::Subscriptions, at, KnownBy::Atalaya, ""));
    hash.update(versions_view(Kind::Customers, at, KnownBy::Source));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the operator stands in for whenever the conditions are met: definitions whose text it was proven equal to.
#[derive(Debug)]
pub(crate) struct Stands(Vec<&'static Proven>);

impl std::fmt::Debug for Proven {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.definition)
    }
}

impl Stands {
    /// Compares the definitions' texts with those that were proven.
    pub(crate) fn new(catalog: &Catalog) -> Self {
        let same = |proven: &&Proven| text_hash(catalog, proven.definition) == proven.hash;
        Self(PROVEN.iter().filter(same).collect())
    }

    /// What the operator may stand in for in this plan, by definition.
    pub(crate) fn of(
        &self,
        catalog: &Catalog,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
    ) -> BTreeMap<&'static str, Stand> {
        if !plan.has_one_vintage {
            return BTreeMap::new();
        }
        let closes = snapshot.tables.get(Kind::MonthCloses.name());
        let has_books = plan.policy.books && closes.is_some_and(|table| !table.files.is_empty());
        let has = |name: &str| plan.views.iter().any(|view| view.name == name);
        // One pass serves all sums: it must read all they hang on, whichever is asked for.
        let may_sum = INPUTS.iter().all(|name| has(name));
        let is_divided = |proven: &Proven| {
            plan.is_divided
                && catalog
                    .in_order(&[proven.definition])
                    .iter()
                    .any(|definition| definition.sql.contains("{by}"))
        };
        let stands = self.0.iter().filter(|proven| has(proven.definition));
        stands
            .filter(|proven| !(proven.reads_books && has_books))
            .filter(|proven| matches!(proven.stand, Stand::Rows(_)) || (may_sum && !is_divided(proven)))
            .map(|proven| (proven.definition, proven.stand))
            .collect()
    }
}

/// Small definitions that the operator reads.
pub(crate) const INPUTS: [&str; 2] = ["price_tier_ranges", "quoted_rates"];

/// The views that are read for `wanted`: those that must be there, and those that code computes.
pub(crate) fn needed(
    plan: &EvaluationPlan,
    wanted: &[&str],
    computed: &BTreeMap<&'static str, Stand>,
) -> (BTreeSet<String>, BTreeMap<&'static str, Stand>) {
    let (mut needed, mut reached) = (BTreeSet::new(), BTreeMap::new());
    let mut open = wanted.to_vec();
    while let Some(name) = open.pop() {
        let Some(view) = plan.views.iter().find(|view| view.name == name) else {
            continue;
        };
        if let Some((definition, stand)) = computed.get_key_value(name) {
            reached.insert(*definition, *stand);
        } else if needed.insert(name.to_owned()) {
            open.extend(view.reads.iter().map(String::as_str));
        }
    }
    (needed, reached)
}

/// Registers what the operator computes: customers' rows when they are read, sums from the figures that stand.
pub(crate) fn register(
    session: &EngineSession,
    inputs: Option<&Arc<Inputs>>,
    figures: Option<(&Figures, &[PeriodEnds])>,
    reached: &BTreeMap<&'static str, Stand>,
) -> Result<(), MetricsError> {
    let engine = |source: EngineError| MetricsError::Engine {
        metric: "movements".to_owned(),
        source,
    };
    for (definition, stand) in reached {
        match *stand {
            Stand::Rows(table) => {
                let Some(inputs) = inputs.map(Arc::clone) else {
                    continue;
                };
                let start: Start = Arc::new(move |projection| {
                    let scan = Scan::new(Arc::clone(&inputs), table, projection.to_vec());
                    Ok(Arc::new(move |emit| {
                        let mut hand_over = |batch| {
                            if emit(batch) {
                                Ok(())
                            } else {
                                Err(atalaya_movements::MovementError::Abandoned)
                            }
                        };
                        scan.work(&mut hand_over).map_err(Into::into)
                    }))
                });
                session
                    .register_computed(definition, table.schema(), start)
                    .map_err(engine)?;
            }
            Stand::Sums(table) => {
                let rows = figures
                    .map(|(figures, periods)| figures.rows(table, periods))
                    .transpose();
                let rows = rows.map_err(|error| MetricsError::Contract {
                    metric: (*definition).to_owned(),
                    reason: error.to_string(),
                })?;
                if let Some(rows) = rows.flatten() {
                    session
                        .register_rows(definition, table.schema(), vec![rows])
                        .map_err(engine)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_bound_to_the_text_it_was_proven_equal_to() {
        let catalog = Catalog::embedded().unwrap();
        let stale: Vec<String> = PROVEN
            .iter()
            .map(|proven| (proven, text_hash(&catalog, proven.definition)))
            .filter(|(proven, hash)| proven.hash != hash)
            .map(|(proven, hash)| format!("{} is {hash}", proven.definition))
            .collect();
        assert_eq!(
            stale,
            Vec::<String>::new(),
            "prove the operator again, then write down what it was proven for"
        );
    }

    #[test]
    fn the_operator_has_the_columns_of_the_definitions() {
        // Names and order; types are compared by every test that unites the rows with others.
        let catalog = Catalog::embedded().unwrap();
        for proven in &PROVEN {
            let definition = catalog.get(proven.definition).unwrap();
            let schema = match proven.stand {
                Stand::Rows(table) => table.schema(),
                Stand::Sums(table) => table.schema(),
            };
            let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            for name in &names {
                assert!(definition.sql.contains(name.as_str()), "{}: {name}", proven.definition);
            }
        }
    }
}
