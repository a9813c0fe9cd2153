--- id = "revenue_cohorts"
--- unit = "rows"
--- description_en = "New customers of every period by what they pay at the end of each period since: all of it, and each customer up to what it came with. Unfinished periods are missing; age 0 is what they came with."
--- description_es = "Clientes nuevos de cada periodo según lo que pagan al final de cada periodo posterior: todo, y cada uno hasta lo que pagaba al llegar. Faltan los periodos sin terminar; la edad 0 es lo que pagaban al llegar."
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
  SELECT c.period_start, y.period_index, money_sum(y.value_micros) AS net_micros, money_sum(LEAST(y.value_micros, c.initial_micros)) AS gross_micros
  FROM members c
  JOIN paying y ON y.customer_id = c.customer_id
  GROUP BY c.period_start, y.period_index
)
SELECT s.period_start, q.period_index - s.period_index AS age, s.size_micros,
       CASE WHEN q.period_index = s.period_index THEN s.size_micros ELSE COALESCE(a.net_micros, 0) END AS net_micros,
       CASE WHEN q.period_index = s.period_index THEN s.size_micros ELSE COALESCE(a.gross_micros, 0) END AS gross_micros
FROM sizes s
JOIN periods q ON q.period_index >= s.period_index
LEFT JOIN alive a ON a.period_start = s.period_start AND a.period_index = q.period_index
WHERE q.is_open = 0 OR q.period_index = s.period_index
