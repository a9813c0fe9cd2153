use std::fmt;

use crate::{Column, ModelError, kind_columns};

/// How a table is laid out on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Partitioned by the local day of landing, sorted by `occurred_at`.
    Events,
    /// Buckets by hash of the customer, each file sorted by (customer, occurred_at, arrival_seq).
    CustomerState,
}

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// People or companies that may pay; the newest version of each stands.
    Customers,
    /// One row per state of a subscription item.
    Subscriptions,
    /// One-off sales, instalments and refunds (negative).
    Orders,
    /// Spend by channel and day.
    AdSpend,
    /// Costs by category and day.
    Expenses,
    /// What one unit of a currency is worth in another, by day.
    FxRates,
    /// Tiers of prices that depend on the quantity.
    PriceTiers,
    /// Lines of invoices and of credit notes, with the days they are for.
    InvoiceLines,
    /// Money that came in or went back.
    Payments,
    /// Values that somebody reports by name and day: a cash balance, an audit's result.
    ReportedValues,
    /// What users did in the product or on the site, as event receivers get it.
    ProductEvents,
    /// What customers asked of support; the newest version of each stands.
    Tickets,
    /// Bugs, features and changes of code, as their tracker has them.
    Issues,
    /// Versions that were given to users.
    Releases,
    /// Runs that brought code to an environment.
    Deployments,
    /// Runs of tests over a revision of the code.
    TestRuns,
    /// Deals that sales works on.
    Opportunities,
    /// People who may become customers, as marketing and sales know them.
    Leads,
    /// Which customer somebody else's name for a person or company means.
    IdentityLinks,
    /// Samples that machines and services tell of themselves.
    HostMetrics,
    /// Outages, breaches and other incidents of a service; the newest version of each stands.
    Incidents,
    /// What audits and scanners found against a rule or a control.
    ComplianceFindings,
    /// Probes of a service: whether it answered.
    UptimeChecks,
    /// Requests that a service answered.
    HttpRequests,
    /// Backups, recoverable points and tests of recovery.
    Backups,
    /// Answers of people to surveys.
    SurveyResponses,
    /// Measurements of a machine-learned model: accuracy, drift.
    ModelEvaluations,
    /// What a model says of a customer, a payment, a user; the newest version of each stands.
    ModelScores,
    /// Checks of tables: rows that pass, of rows looked at.
    DataQualityChecks,
    /// Check-ins and interventions with customers, planned and held.
    SuccessInterventions,
    /// Steps of customers on their way in, due and done.
    OnboardingSteps,
    /// Actions that automation took or failed to take.
    Automations,
    /// What vendors told us, as they told it: whatever is made of it can be made again.
    VendorEvents,
    /// How far sources were read, written with what was read.
    SyncPositions,
    /// MRR by customer as a month was closed. Written by closing, never imported.
    MonthCloses,
}

impl Kind {
    /// Whether records of it come from outside; the others are Atalaya's own bookkeeping.
    pub fn is_from_outside(self) -> bool {
        !matches!(self, Self::MonthCloses | Self::SyncPositions)
    }

    /// All kinds.
    pub const ALL: [Self; 35] = [
        Self::Customers,
        Self::Subscriptions,
        Self::Orders,
        Self::AdSpend,
        Self::Expenses,
        Self::FxRates,
        Self::PriceTiers,
        Self::InvoiceLines,
        Self::Payments,
        Self::ReportedValues,
        Self::ProductEvents,
        Self::Tickets,
        Self::Issues,
        Self::Releases,
        Self::Deployments,
        Self::TestRuns,
        Self::Opportunities,
        Self::Leads,
        Self::IdentityLinks,
        Self::HostMetrics,
        Self::Incidents,
        Self::ComplianceFindings,
        Self::UptimeChecks,
        Self::HttpRequests,
        Self::Backups,
        Self::SurveyResponses,
        Self::ModelEvaluations,
        Self::ModelScores,
        Self::DataQualityChecks,
        Self::SuccessInterventions,
        Self::OnboardingSteps,
        Self::Automations,
        Self::VendorEvents,
        Self::SyncPositions,
        Self::MonthCloses,
    ];

    /// The name of the kind and of its table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Subscriptions => "subscriptions",
            Self::Orders => "orders",
            Self::AdSpend => "ad_spend",
            Self::Expenses => "expenses",
            Self::FxRates => "fx_rates",
            Self::PriceTiers => "price_tiers",
            Self::InvoiceLines => "invoice_lines",
            Self::Payments => "payments",
            Self::ReportedValues => "reported_values",
            Self::ProductEvents => "product_events",
            Self::Tickets => "tickets",
            Self::Issues => "issues",
            Self::Releases => "releases",
            Self::Deployments => "deployments",
            Self::TestRuns => "test_runs",
            Self::Opportunities => "opportunities",
            Self::Leads => "leads",
            Self::IdentityLinks => "identity_links",
            Self::HostMetrics => "host_metrics",
            Self::Incidents => "incidents",
            Self::ComplianceFindings => "compliance_findings",
            Self::UptimeChecks => "uptime_checks",
            Self::HttpRequests => "http_requests",
            Self::Backups => "backups",
            Self::SurveyResponses => "survey_responses",
            Self::ModelEvaluations => "model_evaluations",
            Self::ModelScores => "model_scores",
            Self::DataQualityChecks => "data_quality_checks",
            Self::SuccessInterventions => "success_interventions",
            Self::OnboardingSteps => "onboarding_steps",
            Self::Automations => "automations",
            Self::VendorEvents => "vendor_events",
            Self::SyncPositions => "sync_positions",
            Self::MonthCloses => "month_closes",
        }
    }

    /// Reads a name as [`Kind::name`] writes it.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let known = Self::ALL
                .into_iter()
                .filter(|kind| kind.is_from_outside())
                .map(Self::name);
            ModelError::UnknownKind {
                found: text.to_owned(),
                known: known.collect::<Vec<_>>().join(", "),
            }
        })
    }

    /// How its table is laid out.
    pub fn layout(self) -> Layout {
        match self {
            Self::Customers | Self::Subscriptions => Layout::CustomerState,
            _ => Layout::Events,
        }
    }

    /// The canonical columns.
    pub fn columns(self) -> &'static [Column] {
        kind_columns::of(self)
    }

    /// The canonical column that says when the row was true.
    pub fn occurred_column(self) -> &'static str {
        match self {
            Self::Subscriptions | Self::PriceTiers => "valid_from",
            Self::Orders => "ordered_at",
            Self::AdSpend | Self::Expenses => "spent_on",
            Self::FxRates => "rate_on",
            Self::InvoiceLines => "issued_at",
            Self::Payments => "paid_at",
            Self::ReportedValues => "reported_on",
            Self::ProductEvents | Self::VendorEvents => "happened_at",
            Self::Customers | Self::Tickets | Self::Issues | Self::Opportunities | Self::Leads => "created_at",
            Self::Releases => "released_at",
            Self::Deployments | Self::TestRuns | Self::Incidents | Self::Automations => "started_at",
            Self::IdentityLinks => "linked_at",
            Self::HostMetrics => "sampled_at",
            Self::ComplianceFindings => "opened_at",
            Self::UptimeChecks | Self::DataQualityChecks => "checked_at",
            Self::HttpRequests => "requested_at",
            Self::Backups => "finished_at",
            Self::SurveyResponses => "answered_at",
            Self::ModelEvaluations => "evaluated_at",
            Self::ModelScores => "scored_at",
            Self::SuccessInterventions | Self::OnboardingSteps => "due_at",
            Self::SyncPositions => "read_at",
            Self::MonthCloses => "boundary_at",
        }
    }

    /// Canonical columns that identify a row when the file maps no `record_key`; empty when the row's place in its file
    /// must serve.
    pub fn natural_key(self) -> &'static [&'static str] {
        match self {
            Self::Customers => &["customer_id"],
            Self::FxRates => &["rate_on", "currency", "quote_currency"],
            Self::PriceTiers => &["price_id", "currency", "first_unit"],
            Self::InvoiceLines => &["invoice_id", "line_id"],
            Self::Payments => &["payment_id"],
            Self::ReportedValues => &["value_name", "reported_on", "part"],
            Self::Tickets => &["ticket_id"],
            Self::Issues => &["issue_id"],
            Self::Releases => &["release_id"],
            Self::Deployments => &["deployment_id"],
            Self::TestRuns => &["test_run_id"],
            Self::Opportunities => &["opportunity_id"],
            Self::Leads => &["lead_id"],
            Self::IdentityLinks => &["identity_type", "identity_id"],
            Self::Incidents => &["incident_id"],
            Self::ComplianceFindings => &["finding_id"],
            Self::Backups => &["backup_id"],
            Self::SurveyResponses => &["response_id"],
            Self::ModelEvaluations => &["model", "model_version", "measure", "evaluated_at"],
            Self::ModelScores => &["model", "subject_type", "subject_id"],
            Self::SuccessInterventions => &["intervention_id"],
            Self::OnboardingSteps => &["customer_id", "step"],
            Self::Automations => &["run_id"],
            _ => &[],
        }
    }

    /// Another name under which files may give a column: the plain word, where SQL reserves it.
    pub fn file_alias(self, column: &str) -> Option<&'static str> {
        match (self, column) {
            (Self::Subscriptions, "billing_interval") => Some("interval"),
            _ => None,
        }
    }

    /// The least and the greatest value of a whole-number column, where not every one makes sense.
    pub fn allowed_range(self, column: &str) -> Option<(i64, i64)> {
        match (self, column) {
            (Self::Subscriptions, "interval_count") => Some((1, 1_200)),
            (Self::PriceTiers, "first_unit") => Some((1, i64::MAX)),
            (Self::Subscriptions, "included_tax_ppm") => Some((0, 10_000_000)),
            (Self::Tickets, "satisfaction_score") => Some((1, 5)),
            (Self::Leads, "score") => Some((0, 100)),
            (Self::UptimeChecks, "is_up") => Some((0, 1)),
            (Self::HttpRequests, "status") => Some((0, 999)),
            (Self::HttpRequests, "duration_us") => Some((0, i64::MAX)),
            (Self::SurveyResponses, "score") => Some((0, 100)),
            (Self::DataQualityChecks, "rows_checked" | "rows_passed") => Some((0, i64::MAX)),
            (Self::Subscriptions, "quantity" | "unit_price_minor" | "discount_minor")
            | (Self::Subscriptions, "repeating_discount_minor" | "once_discount_minor") => Some((0, i64::MAX)),
            (Self::Subscriptions, "discount_ppm" | "repeating_discount_ppm" | "once_discount_ppm") => {
                Some((0, 1_000_000))
            }
            _ => None,
        }
    }

    /// Words a text column of this kind may hold; empty when any text is fine.
    pub fn allowed_words(self, column: &str) -> &'static [&'static str] {
        match (self, column) {
            (Self::Subscriptions, "status") => &[
                "active",
                "trialing",
                "past_due",
                "unpaid",
                "canceled",
                "incomplete",
                "incomplete_expired",
                "paused",
            ],
            (Self::Subscriptions, "billing_interval") => &["day", "week", "month", "year"],
            (Self::Subscriptions, "charge_type") => &["licensed", "metered", "one_off"],
            (Self::Subscriptions, "tier_mode") => &["volume", "graduated"],
            (Self::Subscriptions, "collection") => &["charge", "paused"],
            (Self::Subscriptions, "cancel_reason") => &["voluntary", "delinquent", "pause", "migration"],
            (Self::ProductEvents, "event_type") => &["track", "page", "screen", "identify", "group", "alias"],
            (Self::MonthCloses, "boundary") => &["opening", "closing"],
            (Self::InvoiceLines, "line_type") => &["charge", "credit_note", "void", "bad_debt"],
            (Self::Payments, "payment_type") => &["payment", "refund", "dispute"],
            (Self::Expenses, "cost_role") => &["cogs", "marketing", "sales", "sales_team", "research", "general"],
            (Self::Tickets, "status") => &["new", "open", "pending", "hold", "solved", "closed"],
            (Self::Tickets, "priority") => &["critical", "high", "normal", "low"],
            (Self::Issues, "issue_type") => &["bug", "feature", "change", "task"],
            (Self::Issues, "status") => &["open", "closed"],
            (Self::Issues, "severity") => &["critical", "high", "normal", "low"],
            (Self::Deployments | Self::TestRuns, "status") => &["running", "passed", "failed", "canceled"],
            (Self::Opportunities, "status") => &["open", "won", "lost"],
            (Self::Incidents | Self::ComplianceFindings, "severity") => &["critical", "high", "normal", "low"],
            (Self::Backups, "backup_type") => &["full", "incremental", "recovery_point", "recovery_test"],
            (Self::Backups, "status") => &["running", "verified", "unverified", "failed"],
            (Self::Automations, "status") => &["started", "succeeded", "failed", "refused"],
            (Self::SuccessInterventions, "intervention_type") => {
                &["closing_checkin", "launch_checkin", "intervention", "outreach"]
            }
            (Self::Orders, "order_type") => &["sale", "instalment", "subscription", "usage", "refund"],
            _ => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
