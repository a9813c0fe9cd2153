--- id = "customer_ends"
--- unit = "rows"
--- description_en = "MRR of every customer at both ends of every period, by product and plan; and what the MRR of the start is worth at the rates of the end."
--- description_es = "MRR de cada cliente en los dos extremos de cada periodo, por producto y plan, y lo que vale el MRR inicial a las tasas del final."
--- depends_on = ["mrr_at", "reporting_rates", "periods", "policy"]
--- source = "metric-rules B2, fx: same item, same native amount, different rate"
-- Where items keep the rate of their own start, the MRR of the start is worth what the end pays for the same native amount.
WITH ends AS (
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, 1 AS starts, 0 AS closes,
         m.native_micros AS start_native_micros, m.value_micros AS start_micros, 0 AS end_native_micros, 0 AS end_micros
  FROM periods p
  JOIN mrr_at m ON m.boundary_at = p.starts_at
  UNION ALL
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, 0, 1, 0, 0, m.native_micros, m.value_micros
  FROM periods p
  JOIN mrr_at m ON m.boundary_at = p.measured_at
), parts AS (
  SELECT period_start, customer_id, currency, product, plan, country, market, channel, MAX(starts) AS starts, MAX(closes) AS closes,
         money_sum(start_native_micros) AS start_native_micros, money_sum(start_micros) AS start_micros,
         money_sum(end_native_micros) AS end_native_micros, money_sum(end_micros) AS end_micros
  FROM ends
  GROUP BY period_start, customer_id, currency, product, plan, country, market, channel
)
SELECT x.period_start, x.customer_id, x.currency, x.product, x.plan, x.country, x.market, x.channel, x.starts, x.closes, x.start_micros, x.end_micros,
       CASE WHEN x.start_native_micros = 0 THEN 0
            WHEN policy.fx_mode = 'service_start' AND x.end_native_micros > 0 THEN muldiv(x.start_native_micros, x.end_micros, x.end_native_micros)
            WHEN policy.fx_mode = 'service_start' THEN x.start_micros
            ELSE muldiv(x.start_native_micros, require(r.numerator, 'no exchange rate from ' || x.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(p.end_rate_on AS VARCHAR)), r.denominator) END AS revalued_micros
FROM parts x
JOIN periods p ON p.period_start = x.period_start
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = CASE WHEN policy.fx_mode = 'constant' THEN policy.fx_constant_on ELSE p.end_rate_on END AND r.currency = x.currency
