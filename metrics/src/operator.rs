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

use crate::{EvaluationPlan, MetricsError, known_view};

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
        "781d667cbb451b870fbd869818c9982d903c53d27099227a8000bdbebab7185b",
        false,
    ),
    rows(
        "customer_steps",
        MovementTable::Steps,
        "b14e657e186c15c1883b2cfd9881d723da0c2f424c4f691dec99d69632f528ab",
        false,
    ),
    rows(
        "mrr_known_at",
        MovementTable::KnownAt,
        "aabe6684fc39b1930cf1da5784f08553e26c47bb2b582654c0ce811b88defd01",
        false,
    ),
    rows(
        "mrr_at",
        MovementTable::KnownAt,
        "e6372b9b3a449f277533a8dc81ab2d4a3eb44c0fb1a02745fee7a9dd023d29b4",
        true,
    ),
    rows(
        "customer_ends",
        MovementTable::Ends,
        "8c5a6bfe17e56c5cb8d4a967694eb6b02930fc61dc1452385ba3f56b5f40f21c",
        true,
    ),
    rows(
        "customer_movement_events",
        MovementTable::Events,
        "583662d06f8070b3c74f95daf1a90f0de60c04bc7202e563ef7853239252b35b",
        false,
    ),
    rows(
        "customer_movements",
        MovementTable::Movements,
        "696a3e1a949963194e0b34a9abdc642130912da26d061926a4dccb5a43d47e82",
        true,
    ),
    sums(
        "mrr_ends",
        FigureTable::Ends,
        "6c60dcdec3af8d25e13902202a2e308ff0909f2cee0ce2a00cbc71f5eedd4275",
        true,
    ),
    sums(
        "mrr",
        FigureTable::Mrr,
        "c28525705aa87206825b71b8ac56367aa5e04a782e4687760ac89ef08b7f4d2b",
        true,
    ),
    sums(
        "customers",
        FigureTable::Customers,
        "dc8ac8d51cc8709c66ddb57799d9a599df59d81d0f039f2565e021e76bf39423",
        true,
    ),
    sums(
        "arpa",
        FigureTable::Arpa,
        "2a4fe55463623f2d63e6691d3c6e800f9dd27c10c4ad827b93b9735401027f96",
        true,
    ),
    sums(
        "mrr_rounding_residue",
        FigureTable::Residue,
        "e95907808d9ded4d18e31dfcb57d5c5f22184aa24c7121f74bed73a8ac8ba46d",
        true,
    ),
    sums(
        "cmrr",
        FigureTable::Cmrr,
        "4b15dc4b724421cc7346a1aefcfe27799ee77bf69c7de3024451542d11ad08cb",
        false,
    ),
    sums(
        "scheduled_churn_mrr",
        FigureTable::ScheduledChurn,
        "e6e32042cb9a525a9f27a135660fcd1fce2f65ba8c1fac25e017546d59cb26a2",
        false,
    ),
    sums(
        "signed_mrr",
        FigureTable::Signed,
        "946d6391aa4b0704ee1d406d7f0fe9786fb6aaa76aa3c23bd71c8dff959b9896",
        false,
    ),
    sums(
        "movement_sums",
        FigureTable::MovementSums,
        "a90d8c4093025d8d59143a5d2b766417938723dbf74cd341cc04cd29aa80c10b",
        true,
    ),
    sums(
        "event_sums",
        FigureTable::EventSums,
        "103aae3560c78562233b181b1f28808887a6aee2b266e5f5a022dd3222842172",
        false,
    ),
    sums(
        "mrr_movement_events",
        FigureTable::MovementEvents,
        "680451aa201934d5f5b05692739ab020e24a994441138d4bb9ad1807ec7abe39",
        true,
    ),
    sums(
        "yearly_sums",
        FigureTable::YearlySums,
        "5eca723309d5c53405dd6f66e56392b37c9e89d1a07933d83d49923ffa3ec3a0",
        true,
    ),
    sums(
        "revenue_cohorts",
        FigureTable::RevenueCohorts,
        "23074e93af951ecef7eb994f379eb75e644c2493ce5c2dd16f996fb0ec548a04",
        true,
    ),
    sums(
        "cohort_retention",
        FigureTable::CohortRetention,
        "e0be46e2b330c95518eb15d371f83232aa160abf47957d75fc541217e4fa5635",
        true,
    ),
    sums(
        "logo_churn_rate_30d",
        FigureTable::LostIn30Days,
        "bdb869be3ded8bf24b441674625a71f794830cf708eb1214088c370ced349dd7",
        true,
    ),
    sums(
        "mrr_birth",
        FigureTable::Birth,
        "5af45a026898e6207e1147401b33e688b8b137261a8ede43398eb829860dca52",
        false,
    ),
    sums(
        "mrr_not_negative",
        FigureTable::NotNegative,
        "900bb7aeb986535a63175fdcee5227e702ef3d7973c5db055fffcd603b514b80",
        false,
    ),
    sums(
        "one_new_per_customer",
        FigureTable::OneNew,
        "a2942fb0cdd81c3b4eb4d723e19c8b005fcc4b511123e2c7398e759d19dcb231",
        true,
    ),
    sums(
        "mrr_events_rollforward",
        FigureTable::EventsRollforward,
        "f973c7d278830367424f239e482b89b3d4cdb5c86465967e6249d32c5fd3b074",
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
    hash.update(known_view(Kind::Customers, at, KnownBy::Source, ""));
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
