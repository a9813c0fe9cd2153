--- id = "mrr_ends"
--- unit = "rows"
--- description_en = "MRR at the start and at the end of every period."
--- description_es = "MRR al inicio y al final de cada periodo."
--- depends_on = ["mrr_at", "periods"]
--- source = "metric-rules B2"
WITH ends AS (
  SELECT p.period_start, m.value_micros AS opening_micros, 0 AS closing_micros
  FROM periods p JOIN mrr_at m ON m.boundary_at = p.starts_at
  UNION ALL
  SELECT p.period_start, 0, m.value_micros
  FROM periods p JOIN mrr_at m ON m.boundary_at = p.measured_at
)
SELECT period_start, money_sum(opening_micros) AS opening_micros, money_sum(closing_micros) AS closing_micros
FROM ends
GROUP BY period_start
