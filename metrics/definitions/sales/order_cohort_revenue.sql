--- id = "order_cohort_revenue"
--- name_en = "Order revenue by acquisition cohort"
--- name_es = "Ingresos por pedidos por cohorte de captación"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["age"]
--- owner = "marketing"
--- description_en = "Order revenue by the period of the customer's first order and the age of the cohort."
--- description_es = "Ingresos por pedidos según el periodo del primer pedido del cliente y la edad de la cohorte."
--- depends_on = ["order_values", "orders_known", "periods", "policy"]
--- source = "metric-rules B4: cohorts"
WITH first_order AS (
  SELECT customer_id, MIN(ordered_at) AS first_at
  FROM orders_known
  WHERE order_type <> 'refund'
  GROUP BY customer_id
), members AS (
  SELECT f.customer_id, p.period_start, p.period_index
  FROM first_order f
  JOIN periods p ON f.first_at >= p.starts_at AND f.first_at < p.ends_at
)
SELECT m.period_start, q.period_index - m.period_index AS age, money_sum(o.value_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM members m
JOIN order_values o ON o.customer_id = m.customer_id
JOIN periods q ON q.period_start = o.period_start AND q.period_index >= m.period_index
CROSS JOIN policy
GROUP BY m.period_start, q.period_index - m.period_index
