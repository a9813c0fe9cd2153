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
        "26f483f1699af2450f2cf066e567e4fbf74ef7da488069dbab188306391d03de",
        false,
    ),
    rows(
        "mrr_at",
        MovementTable::KnownAt,
        "aa45301b0c54cecb2f8031a03f1823ffd727d65d1aabb3c00bd1e43be3f7aa3d",
        true,
    ),
    rows(
        "customer_ends",
        MovementTable::Ends,
        "f05f3335c77b392ca2de983fc2093a32988edbc9e059049c81379aa5e9f48201",
        true,
    ),
    rows(
        "customer_movement_events",
        MovementTable::Events,
        "e212706231300b59d602bf4eebe6a6fb3597b5c6a18df1c76ef934aaddd071a8",
        false,
    ),
    rows(
        "customer_movements",
        MovementTable::Movements,
        "e428b94d39bc74ab505d6e3ee0e8a12964a4106db567d449fa3eab4ab4165a76",
        true,
    ),
    sums(
        "mrr_ends",
        FigureTable::Ends,
        "03b15970b0916571de92d3784da15bdde88fbca81f48c78b718a8c4dbaf64aad",
        true,
    ),
    sums(
        "mrr",
        FigureTable::Mrr,
        "b3b1a0b1d8e0bd6ced254ff2acb63f2550f7d78d31de48e13e52e975f14cee2d",
        true,
    ),
    sums(
        "customers",
        FigureTable::Customers,
        "ad54d4722269c4a116fee0bebecd0876876fe23b2968ab2a3c20ff9648fa3dfa",
        true,
    ),
    sums(
        "arpa",
        FigureTable::Arpa,
        "8f4220e28364c7aa7c1e1fc346a4ca2f518823328f11cd842559732ef33e7edb",
        true,
    ),
    sums(
        "mrr_rounding_residue",
        FigureTable::Residue,
        "d6dba818b29fe5c7f4c4245377f5fc9f7ec986685500784fff66ebb93e117faa",
        true,
    ),
    sums(
        "cmrr",
        FigureTable::Cmrr,
        "da1d9915aa7826d4c79e8886d29f5c314c43e3db9083f711aa8d2a6b0918d36f",
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
        "04f39d77d891f9d8cbcf46c121945ef9ad6038c7e5a30e9694eaaf1ae9e0b67c",
        true,
    ),
    sums(
        "event_sums",
        FigureTable::EventSums,
        "85080c25933dc37b56a6a10d999f7cc0e3c6ebe5aac52406f3ffe9d085c2a35c",
        false,
    ),
    sums(
        "mrr_movement_events",
        FigureTable::MovementEvents,
        "be763852e53f84f538c9c8ee7e51f93c0137565c4cf2ca40c18d34db23370963",
        true,
    ),
    sums(
        "yearly_sums",
        FigureTable::YearlySums,
        "9138113d672ed56a178737d352fb27d6e481b6590d7201cf5e623c4427ea191b",
        true,
    ),
    sums(
        "revenue_cohorts",
        FigureTable::RevenueCohorts,
        "29636b6d66033bd4fed19a44b7c4ed39bf9a53c6c9503012e73089503f08d1cc",
        true,
    ),
    sums(
        "cohort_retention",
        FigureTable::CohortRetention,
        "a341964c9fb5b3488f231bad7db345d2493ea83c9294624f2ee04e04be73efd1",
        true,
    ),
    sums(
        "logo_churn_rate_30d",
        FigureTable::LostIn30Days,
        "bdf24c136d49923d3c92a2d381957c056e5dd02f37d1a2d4825e420c035fee31",
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
        "b48219bff5e4cd381418f80fb79ca986ba5523f247df21f81cb2b54350d811f2",
        true,
    ),
    sums(
        "mrr_events_rollforward",
        FigureTable::EventsRollforward,
        "af2ccc3d02e00b4abe2fc14b28801a4b264ff3f605bc3f9da42fda224c3ebaa5",
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
