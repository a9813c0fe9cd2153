--- id = "order_cohort_customers"
--- name_en = "Buyers by acquisition cohort"
--- name_es = "Compradores por cohorte de captación"
--- unit = "count"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["age"]
--- owner = "marketing"
--- description_en = "Customers by the period of their first order, and how many of them bought again in each later period."
--- description_es = "Clientes según el periodo de su primer pedido, y cuántos volvieron a comprar en cada periodo posterior."
--- depends_on = ["order_values", "orders_known", "periods"]
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
SELECT m.period_start, q.period_index - m.period_index AS age, COUNT(DISTINCT o.customer_id) AS value
FROM members m
JOIN order_values o ON o.customer_id = m.customer_id AND o.order_type <> 'refund'
JOIN periods q ON q.period_start = o.period_start AND q.period_index >= m.period_index
GROUP BY m.period_start, q.period_index - m.period_index
