--- id = "cohort_retention"
--- name_en = "Customer retention by cohort"
--- name_es = "Retención de clientes por cohorte"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["age"]
--- identities = ["mrr_not_negative"]
--- owner = "product"
--- description_en = "Of the customers who first paid in a period, the share that pays at the end of each later period. Age 0 is 100 % by definition; unfinished periods are blank."
--- description_es = "De los clientes que pagaron por primera vez en un periodo, la parte que paga al final de cada periodo posterior. La edad 0 es 100 % por definición; los periodos sin terminar quedan en blanco."
--- depends_on = ["mrr_at", "subscription_item_mrr", "periods"]
--- source = "metric-rules B4: cohorts"
WITH first_paid AS (
  SELECT customer_id, MIN(starts_at) AS first_paid_at
  FROM subscription_item_mrr
  WHERE is_active = 1
  GROUP BY customer_id
), members AS (
  SELECT f.customer_id, p.period_start, p.period_index
  FROM first_paid f
  JOIN periods p ON f.first_paid_at >= p.starts_at AND f.first_paid_at < p.measured_at
), sizes AS (
  SELECT period_start, period_index, COUNT(*) AS size FROM members GROUP BY period_start, period_index
), paying AS (
  SELECT DISTINCT m.customer_id, p.period_index
  FROM mrr_at m
  JOIN periods p ON p.measured_at = m.boundary_at
), alive AS (
  SELECT c.period_start, y.period_index, COUNT(*) AS active
  FROM members c
  JOIN paying y ON y.customer_id = c.customer_id
  GROUP BY c.period_start, y.period_index
)
SELECT s.period_start, q.period_index - s.period_index AS age,
       CASE WHEN q.period_index = s.period_index THEN s.size ELSE COALESCE(a.active, 0) END AS numerator,
       s.size AS denominator
FROM sizes s
JOIN periods q ON q.period_index >= s.period_index
LEFT JOIN alive a ON a.period_start = s.period_start AND a.period_index = q.period_index
WHERE q.is_open = 0 OR q.period_index = s.period_index
