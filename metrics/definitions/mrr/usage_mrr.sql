--- id = "usage_mrr"
--- name_en = "Usage revenue, monthly"
--- name_es = "Ingreso por uso, mensual"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback = 3
--- owner = "finance"
--- description_en = "Metered revenue beside MRR: the mean of the last three closed months, or of fewer where there are fewer."
--- description_es = "Ingreso por uso junto al MRR: la media de los tres últimos meses cerrados, o de los que haya."
--- depends_on = ["order_values", "orders_known", "periods", "policy"]
--- source = "metric-rules B1: metered, shown beside MRR"
WITH used AS (
  SELECT q.period_index, money_sum(o.value_micros) AS value_micros
  FROM order_values o
  JOIN periods q ON q.period_start = o.period_start
  WHERE o.order_type = 'usage'
  GROUP BY q.period_index
), first_used AS (
  SELECT MIN(ordered_at) AS used_at FROM orders_known WHERE order_type = 'usage'
)
SELECT p.period_start, muldiv(COALESCE(money_sum(u.value_micros), 0), 1, COUNT(*)) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM periods p
JOIN periods h ON h.period_index > p.period_index - 3 - p.is_open AND h.period_index <= p.period_index - p.is_open
JOIN first_used f ON f.used_at < h.ends_at
CROSS JOIN policy
LEFT JOIN used u ON u.period_index = h.period_index
GROUP BY p.period_start
