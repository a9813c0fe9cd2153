--- id = "segments_rollforward"
--- unit = "rows"
--- dimensions = ["product", "plan", "country", "market", "channel"]
--- description_en = "Start plus every event, transfer and exchange rate is end, in every segment in every period. Rows are violations."
--- description_es = "El inicio más cada evento, transferencia y tipo de cambio es el final, por segmento y periodo. Las filas son incumplimientos."
--- depends_on = ["mrr_movement_events", "mrr_at", "periods"]
--- source = "metric-rules B2: segments break the identity unless a customer who changes plan or country gets transfer_in and transfer_out"
WITH parts AS (
  SELECT period_start, {by} value_micros AS part_micros FROM mrr_movement_events
  UNION ALL
  SELECT p.period_start, {by} m.value_micros FROM periods p JOIN mrr_at m ON m.boundary_at = p.starts_at
  UNION ALL
  SELECT p.period_start, {by} -m.value_micros FROM periods p JOIN mrr_at m ON m.boundary_at = p.measured_at
), segments AS (
  SELECT period_start, {by} money_sum(part_micros) AS missing_micros
  FROM parts
  GROUP BY {by} period_start
)
SELECT period_start, 'a segment misses its end by ' || CAST(missing_micros AS VARCHAR) || ' millionths' AS violation
FROM segments
WHERE missing_micros <> 0
