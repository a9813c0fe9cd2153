--- id = "event_sums"
--- unit = "rows"
--- description_en = "Events of every period added up by kind and reason."
--- description_es = "Eventos de cada periodo sumados por clase y motivo."
--- depends_on = ["customer_movement_events"]
--- source = "metric-rules B2, event-level"
WITH events AS (
  SELECT period_start, customer_id, group_index, movement, reason, money_sum(change_micros) AS change_micros
  FROM customer_movement_events
  GROUP BY period_start, customer_id, group_index, movement, reason
)
SELECT period_start, movement, reason, COUNT(*) AS events, money_sum(change_micros) AS change_micros
FROM events
GROUP BY period_start, movement, reason
