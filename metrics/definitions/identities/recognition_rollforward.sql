--- id = "recognition_rollforward"
--- unit = "rows"
--- description_en = "Deferred at the start plus invoiced less recognised less contra is deferred at the end. Rows are violations."
--- description_es = "Lo diferido al inicio más lo facturado menos lo reconocido menos el menor ingreso es lo diferido al final. Las filas son incumplimientos."
--- lookback = 1
--- depends_on = ["invoiced", "recognised_revenue", "contra_revenue", "deferred_revenue", "periods"]
--- source = "metric-rules B4: recognised + deferred + contra always equals invoiced"
WITH parts AS (
  SELECT period_start, value_micros AS part_micros FROM invoiced
  UNION ALL
  SELECT period_start, -value_micros FROM recognised_revenue
  UNION ALL
  SELECT period_start, -value_micros FROM contra_revenue
  UNION ALL
  SELECT period_start, -value_micros FROM deferred_revenue
  UNION ALL
  SELECT p.period_start, d.value_micros
  FROM periods p
  JOIN periods b ON b.period_index = p.period_index - 1
  JOIN deferred_revenue d ON d.period_start = b.period_start
)
SELECT x.period_start, 'deferred, invoiced, recognised and contra miss each other by ' || CAST(money_sum(x.part_micros) AS VARCHAR) || ' millionths' AS violation
FROM parts x
JOIN periods p ON p.period_start = x.period_start
WHERE p.period_index > 0
GROUP BY x.period_start
HAVING money_sum(x.part_micros) <> 0
