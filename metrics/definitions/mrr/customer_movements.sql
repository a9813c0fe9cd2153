--- id = "customer_movements"
--- unit = "rows"
--- description_en = "What became of every customer's MRR between the two ends of every period: one movement each, and the part that exchange rates moved."
--- description_es = "Qué pasó con el MRR de cada cliente entre los dos extremos de cada periodo: un movimiento por cliente y la parte debida al tipo de cambio."
--- depends_on = ["mrr_at", "subscription_item_mrr", "reporting_rates", "periods", "policy"]
--- source = "metric-rules B2, period-net"
WITH ends AS (
  SELECT p.period_start, m.customer_id, m.value_micros AS start_micros,
         muldiv(m.native_micros, require(r.numerator, 'no exchange rate from ' || m.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(p.end_rate_on AS VARCHAR)), r.denominator) AS revalued_micros,
         0 AS end_micros
  FROM periods p
  JOIN mrr_at m ON m.boundary_at = p.starts_at
  CROSS JOIN policy
  LEFT JOIN reporting_rates r ON r.rate_on = p.end_rate_on AND r.currency = m.currency
  UNION ALL
  SELECT p.period_start, m.customer_id, 0, 0, m.value_micros
  FROM periods p
  JOIN mrr_at m ON m.boundary_at = p.measured_at
), netted AS (
  SELECT period_start, customer_id, money_sum(start_micros) AS start_micros, money_sum(revalued_micros) AS revalued_micros,
         money_sum(end_micros) AS end_micros
  FROM ends
  GROUP BY period_start, customer_id
), first_paid AS (
  SELECT customer_id, MIN(starts_at) AS first_paid_at
  FROM subscription_item_mrr
  WHERE mrr_micros > 0 AND (ends_at IS NULL OR ends_at > starts_at)
  GROUP BY customer_id
)
SELECT n.period_start, n.customer_id, n.start_micros, n.end_micros,
       n.end_micros - n.revalued_micros AS change_micros,
       n.revalued_micros - n.start_micros AS fx_micros,
       CASE WHEN n.start_micros = 0 AND f.first_paid_at >= p.starts_at THEN 'new'
            WHEN n.start_micros = 0 THEN 'reactivation'
            WHEN n.end_micros = 0 THEN 'churn'
            WHEN n.end_micros > n.revalued_micros THEN 'expansion'
            WHEN n.end_micros < n.revalued_micros THEN 'contraction'
            ELSE 'unchanged' END AS movement
FROM netted n
JOIN periods p ON p.period_start = n.period_start
JOIN first_paid f ON f.customer_id = n.customer_id
