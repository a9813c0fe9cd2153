--- id = "reporting_rates"
--- unit = "rows"
--- description_en = "What one minor unit of each currency is worth in the reporting currency, on every day that is needed: the newest rate on or before the day, not older than the policy allows."
--- description_es = "Lo que vale una unidad menor de cada moneda en la moneda de reporte, para cada día necesario: la última tasa de ese día o anterior, sin superar la antigüedad que permite la política."
--- depends_on = ["quoted_rates", "rate_days", "policy"]
--- source = "metric-rules B1, currency: the rate of the day before the boundary"
SELECT d.rate_on, q.currency, q.numerator, q.denominator
FROM rate_days d
JOIN quoted_rates q ON q.quoted_on <= d.rate_on AND (q.next_on IS NULL OR q.next_on > d.rate_on)
CROSS JOIN policy
WHERE d.rate_on - q.quoted_on <= policy.fx_max_age_days
UNION ALL
SELECT d.rate_on, policy.reporting_currency, 1, 1
FROM rate_days d CROSS JOIN policy
