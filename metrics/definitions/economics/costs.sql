--- id = "costs"
--- unit = "rows"
--- description_en = "Money spent in every period by role, in the reporting currency at the rate of its day; advertising by channel."
--- description_es = "Dinero gastado en cada periodo por función, en la moneda de reporte a la tasa de su día; la publicidad, por canal."
--- depends_on = ["expenses_known", "ad_spend_known", "days", "reporting_rates", "policy"]
--- source = "metric-rules B4: CAC, gross margin"
-- An expense without a role is told by its category; what nobody knows is general.
WITH calendar AS (
  SELECT DISTINCT day_on, period_start FROM days
), spent AS (
  SELECT e.spent_on, e.currency, e.amount_minor, CAST(NULL AS VARCHAR) AS channel, 0 AS is_advertising,
         CASE WHEN e.cost_role IS NOT NULL THEN e.cost_role
              WHEN e.category IN ('cogs', 'cloud', 'hosting', 'support', 'payment_fees') THEN 'cogs'
              WHEN e.category IN ('marketing', 'events', 'agency') THEN 'marketing'
              WHEN e.category IN ('sales', 'commissions') THEN 'sales'
              WHEN e.category IN ('sales_payroll', 'marketing_payroll', 'sales_tools', 'marketing_tools') THEN 'sales_team'
              WHEN e.category IN ('research', 'engineering') THEN 'research'
              ELSE 'general' END AS cost_role
  FROM expenses_known e
  UNION ALL
  SELECT a.spent_on, a.currency, a.amount_minor, a.channel, 1, 'marketing'
  FROM ad_spend_known a
)
SELECT c.period_start, s.cost_role, s.channel, s.is_advertising,
       muldiv(muldiv(s.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || s.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(s.spent_on AS VARCHAR)), r.denominator) AS value_micros
FROM spent s
JOIN calendar c ON c.day_on = s.spent_on
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = s.spent_on AND r.currency = s.currency
