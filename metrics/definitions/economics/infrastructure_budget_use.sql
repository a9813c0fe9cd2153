--- id = "infrastructure_budget_use"
--- name_en = "Infrastructure budget used"
--- name_es = "Presupuesto de infraestructura usado"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- no_value = "no infrastructure budget is reported"
--- owner = "operations"
--- description_en = "Infrastructure expenses of the month, of the newest budget reported on or before its last day (reported value infrastructure_budget, its parts added up)."
--- description_es = "Gastos de infraestructura del mes, del último presupuesto informado hasta su último día (valor informado infrastructure_budget, sumadas sus partes)."
--- depends_on = ["expenses_known", "reported_values_known", "periods", "days", "reporting_rates", "policy"]
--- source = "kpis.csv: infrastructure_cost; alerts.csv: cloud_budget_exceeded"
WITH calendar AS (
  SELECT DISTINCT day_on, period_start FROM days
), spent AS (
  SELECT c.period_start,
         money_sum(muldiv(muldiv(e.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || e.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(e.spent_on AS VARCHAR)), r.denominator)) AS spent_micros
  FROM expenses_known e
  JOIN calendar c ON c.day_on = e.spent_on
  CROSS JOIN policy
  LEFT JOIN reporting_rates r ON r.rate_on = e.spent_on AND r.currency = e.currency
  WHERE e.category IN ('infrastructure', 'cloud', 'hosting')
  GROUP BY c.period_start
), reported AS (
  SELECT p.period_start, p.end_rate_on, v.amount_minor, v.currency,
         ROW_NUMBER() OVER (PARTITION BY p.period_start, v.source, v.part ORDER BY v.reported_on DESC, v.record_version DESC, v.recorded_at DESC, v.arrival_seq DESC) AS place
  FROM periods p
  JOIN reported_values_known v ON v.value_name = 'infrastructure_budget' AND v.reported_on <= p.end_rate_on
  WHERE v.amount_minor IS NOT NULL
), budgets AS (
  SELECT b.period_start,
         money_sum(muldiv(muldiv(b.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || b.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(b.end_rate_on AS VARCHAR)), r.denominator)) AS budget_micros
  FROM reported b
  CROSS JOIN policy
  LEFT JOIN reporting_rates r ON r.rate_on = b.end_rate_on AND r.currency = b.currency
  WHERE b.place = 1
  GROUP BY b.period_start
)
SELECT b.period_start, COALESCE(s.spent_micros, 0) AS numerator, b.budget_micros AS denominator
FROM budgets b
LEFT JOIN spent s ON s.period_start = b.period_start
WHERE b.budget_micros > 0
