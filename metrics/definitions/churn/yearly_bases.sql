--- id = "yearly_bases"
--- unit = "rows"
--- lookback = 12
--- description_en = "Customers who paid twelve months before the end of each period: what they paid then and what they pay now."
--- description_es = "Clientes que pagaban doce meses antes del final de cada periodo: lo que pagaban y lo que pagan."
--- depends_on = ["mrr_at", "periods"]
--- source = "metric-rules B3: window trailing 12 months, point to point"
WITH ends AS (
  SELECT p.period_start, m.customer_id, m.value_micros AS start_micros, 0 AS end_micros
  FROM periods p
  JOIN periods b ON b.period_index = p.period_index - 12
  JOIN mrr_at m ON m.boundary_at = b.measured_at
  UNION ALL
  SELECT p.period_start, m.customer_id, 0, m.value_micros
  FROM periods p
  JOIN mrr_at m ON m.boundary_at = p.measured_at
)
SELECT period_start, customer_id, money_sum(start_micros) AS start_micros, money_sum(end_micros) AS end_micros
FROM ends
GROUP BY period_start, customer_id
HAVING money_sum(start_micros) > 0
