--- id = "mrr_events_rollforward"
--- unit = "rows"
--- description_en = "Start plus every event plus exchange rates is end, for every customer in every period. Rows are violations."
--- description_es = "El inicio más cada evento más el tipo de cambio es el final, por cliente y periodo. Las filas son incumplimientos."
--- depends_on = ["customer_movement_events", "customer_ends"]
--- source = "metric-rules B2, identity"
WITH parts AS (
  SELECT period_start, customer_id, change_micros + fx_micros AS part_micros FROM customer_movement_events
  UNION ALL
  SELECT period_start, customer_id, known_revalued_micros - known_start_micros FROM customer_ends
  UNION ALL
  SELECT period_start, customer_id, known_start_micros - known_end_micros FROM customer_ends
)
SELECT period_start, 'customer ' || customer_id || ': start and events miss the end by ' || CAST(money_sum(part_micros) AS VARCHAR) || ' millionths' AS violation
FROM parts
GROUP BY period_start, customer_id
HAVING money_sum(part_micros) <> 0
