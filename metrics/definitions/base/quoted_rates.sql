--- id = "quoted_rates"
--- unit = "rows"
--- description_en = "Every quoted rate into the reporting currency, with the day on which the next one replaces it: what one minor unit is worth, as a fraction."
--- description_es = "Cada tasa cotizada a la moneda de reporte, con el día en que la siguiente la sustituye: lo que vale una unidad menor, como fracción."
--- depends_on = ["fx_rates_known", "currencies", "policy"]
--- source = "metric-rules B1, currency"
WITH ranked AS (
  SELECT f.currency, f.rate_on, f.rate_e12,
         ROW_NUMBER() OVER (PARTITION BY f.currency, f.rate_on ORDER BY f.record_version DESC, f.recorded_at DESC, f.arrival_seq DESC, f.record_key) AS standing
  FROM fx_rates_known f CROSS JOIN policy
  WHERE f.quote_currency = policy.reporting_currency AND f.currency <> policy.reporting_currency
), quoted AS (
  SELECT currency, rate_on AS quoted_on, rate_e12,
         LEAD(rate_on) OVER (PARTITION BY currency ORDER BY rate_on) AS next_on
  FROM ranked
  WHERE standing = 1
)
SELECT q.currency, q.quoted_on, q.next_on,
       muldiv(q.rate_e12, home.minor_scale, 1) AS numerator,
       muldiv(1000000000000, own.minor_scale, 1) AS denominator
FROM quoted q
CROSS JOIN policy
JOIN currencies own ON own.currency = q.currency
JOIN currencies home ON home.currency = policy.reporting_currency
