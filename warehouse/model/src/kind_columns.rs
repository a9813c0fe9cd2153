//! The canonical columns of each kind.

use crate::{
    Kind,
    column::{
        Column,
        ColumnType::{Currency, Date, E6, E12, Instant, Integer, Minor, Ppm, Text},
        column, defaulted,
    },
};

pub(crate) fn of(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Customers => CUSTOMERS,
        Kind::Subscriptions => SUBSCRIPTIONS,
        Kind::Orders => ORDERS,
        Kind::AdSpend => AD_SPEND,
        Kind::Expenses => EXPENSES,
        Kind::InvoiceLines => INVOICE_LINES,
        Kind::Payments => PAYMENTS,
        Kind::ReportedValues => REPORTED_VALUES,
        Kind::ProductEvents => PRODUCT_EVENTS,
        Kind::VendorEvents => VENDOR_EVENTS,
        Kind::SyncPositions => SYNC_POSITIONS,
        Kind::MonthCloses => MONTH_CLOSES,
        Kind::PriceTiers => PRICE_TIERS,
        Kind::FxRates => FX_RATES,
        Kind::Tickets => TICKETS,
        Kind::Issues => ISSUES,
        Kind::Releases => RELEASES,
        Kind::Deployments => DEPLOYMENTS,
        Kind::TestRuns => TEST_RUNS,
        Kind::Opportunities => OPPORTUNITIES,
        Kind::Leads => LEADS,
        Kind::IdentityLinks => IDENTITY_LINKS,
        Kind::HostMetrics => HOST_METRICS,
        Kind::Incidents => INCIDENTS,
        Kind::ComplianceFindings => COMPLIANCE_FINDINGS,
        Kind::UptimeChecks => UPTIME_CHECKS,
        Kind::HttpRequests => HTTP_REQUESTS,
        Kind::Backups => BACKUPS,
        Kind::SurveyResponses => SURVEY_RESPONSES,
        Kind::ModelEvaluations => MODEL_EVALUATIONS,
        Kind::ModelScores => MODEL_SCORES,
        Kind::DataQualityChecks => DATA_QUALITY_CHECKS,
        Kind::SuccessInterventions => SUCCESS_INTERVENTIONS,
        Kind::OnboardingSteps => ONBOARDING_STEPS,
        Kind::Automations => AUTOMATIONS,
    }
}

const CUSTOMERS: &[Column] = &[
    column("customer_id", Text, true),
    column("name", Text, false),
    column("country", Text, false),
    column("market", Text, false),
    column("channel", Text, false),
    column("created_at", Instant, true),
];

const SUBSCRIPTIONS: &[Column] = &[
    column("customer_id", Text, true),
    column("subscription_id", Text, true),
    column("item_id", Text, true),
    column("product", Text, false),
    column("plan", Text, false),
    column("status", Text, true),
    defaulted("quantity", Integer, "1"),
    column("unit_price_minor", Minor, true),
    column("currency", Currency, true),
    column("billing_interval", Text, true),
    defaulted("interval_count", Integer, "1"),
    defaulted("discount_ppm", Ppm, "0"),
    defaulted("discount_minor", Minor, "0"),
    column("trial_ends_at", Instant, false),
    column("cancel_at", Instant, false),
    column("valid_from", Instant, true),
    defaulted("charge_type", Text, "licensed"),
    column("price_id", Text, false),
    column("tier_mode", Text, false),
    defaulted("repeating_discount_ppm", Ppm, "0"),
    defaulted("repeating_discount_minor", Minor, "0"),
    column("repeating_discount_ends_at", Instant, false),
    defaulted("once_discount_ppm", Ppm, "0"),
    defaulted("once_discount_minor", Minor, "0"),
    column("once_discount_ends_at", Instant, false),
    defaulted("included_tax_ppm", Ppm, "0"),
    defaulted("collection", Text, "charge"),
    column("past_due_at", Instant, false),
    column("first_paid_at", Instant, false),
    column("cancel_reason", Text, false),
];

const ORDERS: &[Column] = &[
    column("customer_id", Text, true),
    column("product", Text, false),
    defaulted("quantity", Integer, "1"),
    column("amount_minor", Minor, true),
    column("currency", Currency, true),
    defaulted("order_type", Text, "sale"),
    column("ordered_at", Instant, true),
];

const AD_SPEND: &[Column] = &[
    column("spent_on", Date, true),
    column("channel", Text, true),
    column("campaign", Text, false),
    column("amount_minor", Minor, true),
    column("currency", Currency, true),
    column("impressions", Integer, false),
    column("clicks", Integer, false),
    column("conversions_e6", E6, false),
];

const EXPENSES: &[Column] = &[
    column("spent_on", Date, true),
    column("category", Text, true),
    column("amount_minor", Minor, true),
    column("currency", Currency, true),
    column("cost_role", Text, false),
];

const INVOICE_LINES: &[Column] = &[
    column("customer_id", Text, true),
    column("invoice_id", Text, true),
    column("line_id", Text, true),
    column("subscription_id", Text, false),
    column("product", Text, false),
    column("plan", Text, false),
    defaulted("line_type", Text, "charge"),
    column("amount_minor", Minor, true),
    column("currency", Currency, true),
    column("issued_at", Instant, true),
    column("service_from_on", Date, false),
    column("service_to_on", Date, false),
];

const PAYMENTS: &[Column] = &[
    column("customer_id", Text, true),
    column("payment_id", Text, true),
    column("invoice_id", Text, false),
    defaulted("payment_type", Text, "payment"),
    column("amount_minor", Minor, true),
    column("currency", Currency, true),
    column("paid_at", Instant, true),
];

const REPORTED_VALUES: &[Column] = &[
    column("value_name", Text, true),
    column("reported_on", Date, true),
    defaulted("part", Text, "all"),
    column("amount_minor", Minor, false),
    column("currency", Currency, false),
    column("number_e12", E12, false),
    column("words", Text, false),
];

const PRODUCT_EVENTS: &[Column] = &[
    defaulted("event_type", Text, "track"),
    column("event_name", Text, false),
    column("user_id", Text, false),
    column("anonymous_id", Text, false),
    column("group_id", Text, false),
    column("previous_id", Text, false),
    column("happened_at", Instant, true),
    column("sent_at", Instant, false),
    column("page_url", Text, false),
    column("page_path", Text, false),
    column("referrer", Text, false),
    column("campaign_source", Text, false),
    column("campaign_medium", Text, false),
    column("campaign_name", Text, false),
    column("properties", Text, false),
    column("traits", Text, false),
    column("context", Text, false),
];

const VENDOR_EVENTS: &[Column] = &[
    column("event_type", Text, false),
    column("object_id", Text, false),
    column("happened_at", Instant, true),
    column("payload", Text, true),
];

const SYNC_POSITIONS: &[Column] = &[column("position", Text, true), column("read_at", Instant, true)];

const MONTH_CLOSES: &[Column] = &[
    column("boundary_at", Instant, true),
    column("boundary", Text, true),
    column("month_on", Date, true),
    column("customer_id", Text, true),
    column("currency", Currency, true),
    column("product", Text, false),
    column("plan", Text, false),
    column("country", Text, false),
    column("market", Text, false),
    column("channel", Text, false),
    column("native_micros", Integer, true),
    column("value_micros", Integer, true),
    column("reporting_currency", Currency, true),
    column("policy", Text, true),
    column("definition_hash", Text, true),
    column("closed_at", Instant, true),
];

const PRICE_TIERS: &[Column] = &[
    column("price_id", Text, true),
    column("currency", Currency, true),
    column("first_unit", Integer, true),
    column("unit_price_minor", Minor, true),
    defaulted("flat_minor", Minor, "0"),
    defaulted("valid_from", Instant, "1970-01-01"),
];

const FX_RATES: &[Column] = &[
    column("rate_on", Date, true),
    column("currency", Currency, true),
    column("quote_currency", Currency, true),
    column("rate_e12", E12, true),
];

const TICKETS: &[Column] = &[
    column("ticket_id", Text, true),
    column("customer_id", Text, false),
    column("requester_id", Text, false),
    column("organization_id", Text, false),
    column("subject", Text, false),
    column("channel", Text, false),
    defaulted("status", Text, "new"),
    defaulted("priority", Text, "normal"),
    column("assignee_id", Text, false),
    column("group_id", Text, false),
    column("tags", Text, false),
    column("created_at", Instant, true),
    column("first_reply_at", Instant, false),
    column("first_reply_due_at", Instant, false),
    column("resolved_at", Instant, false),
    column("resolution_due_at", Instant, false),
    column("reopen_count", Integer, false),
    column("agent_reply_count", Integer, false),
    column("escalated_at", Instant, false),
    column("satisfaction_score", Integer, false),
];

const ISSUES: &[Column] = &[
    column("issue_id", Text, true),
    column("project", Text, false),
    column("title", Text, false),
    defaulted("issue_type", Text, "task"),
    defaulted("status", Text, "open"),
    column("severity", Text, false),
    column("release_id", Text, false),
    column("author", Text, false),
    column("labels", Text, false),
    column("created_at", Instant, true),
    column("started_at", Instant, false),
    column("resolved_at", Instant, false),
    column("merged_at", Instant, false),
];

const RELEASES: &[Column] = &[
    column("release_id", Text, true),
    column("project", Text, false),
    column("name", Text, false),
    column("revision", Text, false),
    defaulted("environment", Text, "production"),
    column("released_at", Instant, true),
    column("rolled_back_at", Instant, false),
];

const DEPLOYMENTS: &[Column] = &[
    column("deployment_id", Text, true),
    column("project", Text, false),
    defaulted("environment", Text, "production"),
    column("deployment_type", Text, false),
    column("revision", Text, false),
    defaulted("status", Text, "running"),
    column("started_at", Instant, true),
    column("finished_at", Instant, false),
];

const TEST_RUNS: &[Column] = &[
    column("test_run_id", Text, true),
    column("project", Text, false),
    column("suite", Text, false),
    column("revision", Text, false),
    defaulted("status", Text, "running"),
    column("started_at", Instant, true),
    column("finished_at", Instant, false),
    column("covered_lines", Integer, false),
    column("total_lines", Integer, false),
];

const OPPORTUNITIES: &[Column] = &[
    column("opportunity_id", Text, true),
    column("customer_id", Text, false),
    column("company_id", Text, false),
    column("name", Text, false),
    column("pipeline", Text, false),
    column("stage", Text, false),
    defaulted("status", Text, "open"),
    column("amount_minor", Minor, false),
    column("currency", Currency, false),
    column("owner_id", Text, false),
    column("competitor", Text, false),
    column("created_at", Instant, true),
    column("expected_close_on", Date, false),
    column("closed_at", Instant, false),
];

const LEADS: &[Column] = &[
    column("lead_id", Text, true),
    column("customer_id", Text, false),
    column("company_id", Text, false),
    column("email", Text, false),
    column("country", Text, false),
    column("lead_source", Text, false),
    column("campaign", Text, false),
    column("stage", Text, false),
    column("score", Integer, false),
    column("owner_id", Text, false),
    column("created_at", Instant, true),
    column("converted_at", Instant, false),
];

const IDENTITY_LINKS: &[Column] = &[
    column("identity_type", Text, true),
    column("identity_id", Text, true),
    column("customer_id", Text, true),
    column("linked_at", Instant, true),
];

const HOST_METRICS: &[Column] = &[
    column("metric_name", Text, true),
    column("host", Text, false),
    column("labels", Text, false),
    column("metric_type", Text, false),
    column("metric_unit", Text, false),
    column("value_e6", E6, false),
    column("sampled_at", Instant, true),
];

const INCIDENTS: &[Column] = &[
    column("incident_id", Text, true),
    column("incident_type", Text, true),
    column("title", Text, false),
    defaulted("severity", Text, "normal"),
    column("service", Text, false),
    column("status_url", Text, false),
    column("release_id", Text, false),
    column("started_at", Instant, true),
    column("acknowledged_at", Instant, false),
    column("resolved_at", Instant, false),
];

const COMPLIANCE_FINDINGS: &[Column] = &[
    column("finding_id", Text, true),
    column("finding_type", Text, true),
    column("framework", Text, false),
    column("title", Text, false),
    defaulted("severity", Text, "normal"),
    column("owner_id", Text, false),
    column("opened_at", Instant, true),
    column("closed_at", Instant, false),
];

const UPTIME_CHECKS: &[Column] = &[
    column("service", Text, true),
    column("region", Text, false),
    column("is_up", Integer, true),
    column("planned", Text, false),
    column("reason", Text, false),
    column("duration_us", Integer, false),
    column("checked_at", Instant, true),
];

const HTTP_REQUESTS: &[Column] = &[
    column("service", Text, true),
    column("route", Text, false),
    column("method", Text, false),
    column("status", Integer, true),
    column("duration_us", Integer, false),
    column("error", Text, false),
    column("requested_at", Instant, true),
];

const BACKUPS: &[Column] = &[
    column("backup_id", Text, true),
    defaulted("backup_type", Text, "full"),
    column("system", Text, true),
    defaulted("status", Text, "verified"),
    column("recoverable_to_at", Instant, false),
    column("finished_at", Instant, true),
];

const SURVEY_RESPONSES: &[Column] = &[
    column("response_id", Text, true),
    column("survey", Text, true),
    column("customer_id", Text, false),
    column("ticket_id", Text, false),
    column("score", Integer, true),
    column("words", Text, false),
    column("answered_at", Instant, true),
];

const MODEL_EVALUATIONS: &[Column] = &[
    column("model", Text, true),
    column("model_version", Text, true),
    defaulted("stage", Text, "production"),
    column("measure", Text, true),
    column("good", Integer, true),
    column("total", Integer, true),
    column("evaluated_at", Instant, true),
];

const MODEL_SCORES: &[Column] = &[
    column("model", Text, true),
    defaulted("subject_type", Text, "customer"),
    column("subject_id", Text, true),
    column("score", Integer, false),
    column("band", Text, false),
    column("previous_band", Text, false),
    column("reason", Text, false),
    column("scored_at", Instant, true),
];

const DATA_QUALITY_CHECKS: &[Column] = &[
    column("table_name", Text, true),
    column("check_name", Text, true),
    column("rows_checked", Integer, true),
    column("rows_passed", Integer, true),
    column("checked_at", Instant, true),
];

const SUCCESS_INTERVENTIONS: &[Column] = &[
    column("intervention_id", Text, true),
    column("customer_id", Text, true),
    column("intervention_type", Text, true),
    column("owner_id", Text, false),
    column("due_at", Instant, true),
    column("held_at", Instant, false),
];

const ONBOARDING_STEPS: &[Column] = &[
    column("customer_id", Text, true),
    column("step", Text, true),
    column("due_at", Instant, true),
    column("completed_at", Instant, false),
];

const AUTOMATIONS: &[Column] = &[
    column("run_id", Text, true),
    column("automation", Text, true),
    column("action", Text, false),
    column("subject_id", Text, false),
    defaulted("status", Text, "succeeded"),
    column("value_before", Text, false),
    column("value_after", Text, false),
    column("reason", Text, false),
    column("started_at", Instant, true),
    column("finished_at", Instant, false),
];
