--- id = "reporting_rates"
--- unit = "rows"
--- description_en = "What one minor unit of each currency is worth in the reporting currency, on every day that is needed: the newest rate on or before the day, not older than the policy allows."
--- description_es = "Lo que vale una unidad menor de cada moneda en la moneda de reporte, para cada día necesario: la última tasa de ese día o anterior, sin superar la antigüedad que permite la política."
--- depends_on = ["fx_rates_known", "rate_days", "currencies", "policy"]
--- source = "metric-rules B1, currency: the rate of the day before the boundary"
WITH ranked AS (
  SELECT f.currency, f.rate_on, f.rate_e12,
         ROW_NUMBER() OVER (PARTITION BY f.currency, f.rate_on ORDER BY f.record_version DESC, f.recorded_at DESC, f.arrival_seq DESC, f.record_key) AS standing
  FROM fx_rates_known f CROSS JOIN policy
  WHERE f.quote_currency = policy.reporting_currency
), quoted AS (
  SELECT currency, rate_on AS quoted_on, rate_e12,
         LEAD(rate_on) OVER (PARTITION BY currency ORDER BY rate_on) AS next_on
  FROM ranked
  WHERE standing = 1
)
SELECT d.rate_on, q.currency,
       muldiv(q.rate_e12, home.minor_scale, 1) AS numerator,
       muldiv(1000000000000, own.minor_scale, 1) AS denominator
FROM rate_days d
JOIN quoted q ON q.quoted_on <= d.rate_on AND (q.next_on IS NULL OR q.next_on > d.rate_on)
CROSS JOIN policy
JOIN currencies own ON own.currency = q.currency
JOIN currencies home ON home.currency = policy.reporting_currency
WHERE d.rate_on - q.quoted_on <= policy.fx_max_age_days AND q.currency <> policy.reporting_currency
UNION ALL
SELECT d.rate_on, policy.reporting_currency, 1, 1
FROM rate_days d CROSS JOIN policy
