--- id = "cohort_net_revenue"
--- name_en = "Net revenue retention by cohort"
--- name_es = "Retención neta de ingresos por cohorte"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["age"]
--- identities = ["mrr_not_negative", "mrr_events_rollforward"]
--- owner = "product"
--- description_en = "MRR that the new customers of a period pay at the end of each later one, as a share of the MRR they came with; it can pass 100 %."
--- description_es = "MRR que los clientes nuevos de un periodo pagan al final de cada periodo posterior, sobre el MRR con que llegaron; puede pasar del 100 %."
--- depends_on = ["customer_movement_events", "mrr_at", "periods"]
--- source = "metric-rules B4: cohorts, revenue cells; M0 is 100 % by definition"
WITH members AS (
  SELECT e.period_start, p.period_index, e.customer_id, money_sum(e.change_micros) AS initial_micros
  FROM customer_movement_events e
  JOIN periods p ON p.period_start = e.period_start
  WHERE e.movement = 'new'
  GROUP BY e.period_start, p.period_index, e.customer_id
), sizes AS (
  SELECT period_start, period_index, money_sum(initial_micros) AS size_micros FROM members GROUP BY period_start, period_index
), paying AS (
  SELECT m.customer_id, p.period_index, money_sum(m.value_micros) AS value_micros
  FROM mrr_at m
  JOIN periods p ON p.measured_at = m.boundary_at
  GROUP BY m.customer_id, p.period_index
), alive AS (
  SELECT c.period_start, y.period_index, money_sum(y.value_micros) AS value_micros
  FROM members c
  JOIN paying y ON y.customer_id = c.customer_id
  GROUP BY c.period_start, y.period_index
)
SELECT s.period_start, q.period_index - s.period_index AS age,
       CASE WHEN q.period_index = s.period_index THEN s.size_micros ELSE COALESCE(a.value_micros, 0) END AS numerator,
       s.size_micros AS denominator
FROM sizes s
JOIN periods q ON q.period_index >= s.period_index
LEFT JOIN alive a ON a.period_start = s.period_start AND a.period_index = q.period_index
WHERE q.is_open = 0 OR q.period_index = s.period_index
