--- id = "cohort_profits"
--- unit = "rows"
--- description_en = "What the new customers of a period have brought in gross profit by the end of each period since: MRR of each period times its gross margin, added up."
--- description_es = "Margen bruto que han dejado los clientes nuevos de un periodo hasta el final de cada periodo posterior: MRR de cada periodo por su margen, acumulado."
--- depends_on = ["customer_movement_events", "mrr_at", "period_margins", "periods"]
--- source = "metric-rules B4: LTV cohort, observed, no extrapolation"
-- A period without sales has no margin: from then on nothing is known, and the cohort ends.
WITH members AS (
  SELECT DISTINCT e.period_start, p.period_index, e.customer_id
  FROM customer_movement_events e
  JOIN periods p ON p.period_start = e.period_start
  WHERE e.movement = 'new'
), sizes AS (
  SELECT period_start, period_index, COUNT(*) AS customers FROM members GROUP BY period_start, period_index
), paying AS (
  SELECT m.customer_id, p.period_index, money_sum(m.value_micros) AS value_micros
  FROM mrr_at m
  JOIN periods p ON p.measured_at = m.boundary_at
  GROUP BY m.customer_id, p.period_index
), earned AS (
  SELECT c.period_start, y.period_index, money_sum(y.value_micros) AS value_micros
  FROM members c
  JOIN paying y ON y.customer_id = c.customer_id AND y.period_index >= c.period_index
  GROUP BY c.period_start, y.period_index
), without_margin AS (
  SELECT s.period_start, MIN(m.period_index) AS period_index
  FROM sizes s
  JOIN period_margins m ON m.period_index >= s.period_index AND m.revenue_micros <= 0
  GROUP BY s.period_start
), profits AS (
  SELECT s.period_start, s.period_index, s.customers, q.period_index - s.period_index AS age,
         CASE WHEN e.value_micros IS NULL THEN 0 ELSE muldiv(e.value_micros, m.revenue_micros - m.cogs_micros, m.revenue_micros) END AS profit_micros
  FROM sizes s
  JOIN periods q ON q.period_index >= s.period_index AND q.is_open = 0
  JOIN period_margins m ON m.period_index = q.period_index AND m.revenue_micros > 0
  LEFT JOIN without_margin w ON w.period_start = s.period_start
  LEFT JOIN earned e ON e.period_start = s.period_start AND e.period_index = q.period_index
  WHERE w.period_index IS NULL OR q.period_index < w.period_index
)
SELECT period_start, period_index, customers, age,
       CAST(money_sum(profit_micros) OVER (PARTITION BY period_start ORDER BY age) AS BIGINT) AS profit_micros
FROM profits
