--- id = "customer_ends"
--- unit = "rows"
--- description_en = "MRR of every customer at both ends of every period, by product and plan, as the books say and as the records are known; and what the MRR of the start is worth at the rates of the end."
--- description_es = "MRR de cada cliente en los dos extremos de cada periodo, por producto y plan, según las cuentas y según los registros; y lo que vale el MRR inicial a las tasas del final."
--- depends_on = ["mrr_at", "mrr_known_at", "month_closes_known", "reporting_rates", "periods", "policy"]
--- source = "metric-rules B2, fx: same item, same native amount, different rate; restatement: same valid time, later knowledge"
-- What moves in a period moves from its basis: what is known of its start, or was known when the period was closed itself.
-- The books of the month before and that basis differ by what was learned meanwhile: the restatement.
-- Where items keep the rate of their own start, or the books have the rates of their time, the MRR of the start is worth what
-- the end pays for the same native amount, also where the customer is then somewhere else.
WITH closed AS (
  SELECT p.period_start, MIN(o.closed_at) AS closed_at
  FROM periods p
  JOIN month_closes_known o ON o.boundary_at = p.starts_at AND o.boundary = 'opening' AND o.customer_id = '*'
  JOIN month_closes_known c ON c.boundary_at = p.measured_at AND c.boundary = 'closing' AND c.customer_id = '*' AND c.month_on = o.month_on
  CROSS JOIN policy
  WHERE policy.books = 1 AND c.reporting_currency = policy.reporting_currency AND o.reporting_currency = policy.reporting_currency
  GROUP BY p.period_start
), bases AS (
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, m.native_micros, m.value_micros
  FROM periods p
  JOIN mrr_known_at m ON m.boundary_at = p.starts_at
  LEFT JOIN closed c ON c.period_start = p.period_start
  WHERE c.period_start IS NULL
  UNION ALL
  SELECT p.period_start, f.customer_id, f.currency, f.product, f.plan, f.country, f.market, f.channel, f.native_micros, f.value_micros
  FROM closed c
  JOIN periods p ON p.period_start = c.period_start
  JOIN month_closes_known f ON f.boundary_at = p.starts_at AND f.boundary = 'opening' AND f.customer_id <> '*'
), ends AS (
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, 0 AS starts, 0 AS closes,
         0 AS basis_native_micros, 0 AS basis_micros, m.value_micros AS start_micros, 0 AS end_native_micros, 0 AS end_micros,
         0 AS known_start_native_micros, 0 AS known_start_micros, 0 AS known_end_native_micros, 0 AS known_end_micros
  FROM periods p JOIN mrr_at m ON m.boundary_at = p.starts_at
  UNION ALL
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, 0, 1, 0, 0, 0, m.native_micros, m.value_micros, 0, 0, 0, 0
  FROM periods p JOIN mrr_at m ON m.boundary_at = p.measured_at
  UNION ALL
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, 0, 0, 0, 0, 0, 0, 0, m.native_micros, m.value_micros, 0, 0
  FROM periods p JOIN mrr_known_at m ON m.boundary_at = p.starts_at
  UNION ALL
  SELECT period_start, customer_id, currency, product, plan, country, market, channel, 1, 0, native_micros, value_micros, 0, 0, 0, 0, 0, 0, 0
  FROM bases
  UNION ALL
  SELECT p.period_start, m.customer_id, m.currency, m.product, m.plan, m.country, m.market, m.channel, 0, 0, 0, 0, 0, 0, 0, 0, 0, m.native_micros, m.value_micros
  FROM periods p JOIN mrr_known_at m ON m.boundary_at = p.measured_at
), parts AS (
  SELECT period_start, customer_id, currency, product, plan, country, market, channel,
         MAX(starts) AS starts, MAX(closes) AS closes,
         money_sum(basis_native_micros) AS basis_native_micros, money_sum(basis_micros) AS basis_micros, money_sum(start_micros) AS start_micros,
         money_sum(end_native_micros) AS end_native_micros, money_sum(end_micros) AS end_micros,
         money_sum(known_start_native_micros) AS known_start_native_micros, money_sum(known_start_micros) AS known_start_micros,
         money_sum(known_end_native_micros) AS known_end_native_micros, money_sum(known_end_micros) AS known_end_micros
  FROM ends
  GROUP BY period_start, customer_id, currency, product, plan, country, market, channel
), based AS (
  SELECT x.*,
         CAST(money_sum(x.end_native_micros) OVER (PARTITION BY x.period_start, x.customer_id, x.currency, x.product, x.plan) AS BIGINT) AS all_end_native_micros,
         CAST(money_sum(x.end_micros) OVER (PARTITION BY x.period_start, x.customer_id, x.currency, x.product, x.plan) AS BIGINT) AS all_end_micros,
         CASE WHEN c.period_start IS NULL THEN 0 ELSE 1 END AS is_closed, r.numerator, r.denominator, p.end_rate_on
  FROM parts x
  JOIN periods p ON p.period_start = x.period_start
  CROSS JOIN policy
  LEFT JOIN closed c ON c.period_start = x.period_start
  LEFT JOIN reporting_rates r ON r.rate_on = CASE WHEN policy.fx_mode = 'constant' THEN policy.fx_constant_on ELSE p.end_rate_on END AND r.currency = x.currency
)
SELECT b.period_start, b.customer_id, b.currency, b.product, b.plan, b.country, b.market, b.channel, b.starts, b.closes,
       b.start_micros, b.basis_micros, b.end_micros, b.known_start_micros, b.known_end_micros,
       CASE WHEN b.basis_native_micros = 0 THEN 0
            WHEN (policy.fx_mode = 'service_start' OR b.is_closed = 1) AND b.all_end_native_micros > 0 THEN muldiv(b.basis_native_micros, b.all_end_micros, b.all_end_native_micros)
            WHEN policy.fx_mode = 'service_start' THEN b.basis_micros
            ELSE muldiv(b.basis_native_micros, require(b.numerator, 'no exchange rate from ' || b.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(b.end_rate_on AS VARCHAR)), b.denominator) END AS revalued_micros,
       CASE WHEN b.known_start_native_micros = 0 OR policy.fx_mode = 'service_start' THEN b.known_start_micros
            ELSE muldiv(b.known_start_native_micros, require(b.numerator, 'no exchange rate from ' || b.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(b.end_rate_on AS VARCHAR)), b.denominator) END AS known_revalued_micros
FROM based b
CROSS JOIN policy
