--- id = "mrr_movement_events"
--- name_en = "MRR movements, every event"
--- name_es = "Movimientos de MRR, evento a evento"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "none"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan", "country", "market", "channel"]
--- breakdown = ["movement"]
--- rounds_to = "mrr_ends"
--- identities = ["mrr_events_rollforward", "segments_rollforward", "mrr_birth", "mrr_not_negative", "one_new_per_customer"]
--- owner = "finance"
--- description_en = "Every change of MRR when it happened, so that an upgrade and a downgrade of one month both show. Split by a segment, a customer's move from one to the other is a transfer and every segment adds up."
--- description_es = "Cada cambio de MRR cuando ocurrió: una subida y una bajada del mismo mes se ven las dos. Por segmentos, el paso de un cliente de uno a otro es una transferencia y cada segmento cuadra."
--- depends_on = ["customer_movement_events", "customer_ends", "customer_transfers", "policy"]
--- source = "metric-rules B2, event-level; segments with transfer_in and transfer_out"
-- What one segment of a customer loses while another gains is transferred, up to the smaller of the two, in the order of the
-- segments; only what is left over is the customer's movement. A customer who becomes another (country, market, channel) takes
-- along all that it has.
WITH segments AS (
  SELECT period_start, customer_id, group_index, {by} movement, money_sum(change_micros) AS change_micros, money_sum(fx_micros) AS fx_micros
  FROM customer_movement_events
  GROUP BY period_start, customer_id, group_index, {by} movement
), sides AS (
  SELECT period_start, customer_id, group_index, {by} movement, change_micros,
         GREATEST(change_micros, 0) AS up_micros, GREATEST(-change_micros, 0) AS down_micros,
         CAST(money_sum(GREATEST(change_micros, 0)) OVER (PARTITION BY period_start, customer_id, group_index) AS BIGINT) AS all_up_micros,
         CAST(money_sum(GREATEST(-change_micros, 0)) OVER (PARTITION BY period_start, customer_id, group_index) AS BIGINT) AS all_down_micros,
         CAST(money_sum(GREATEST(change_micros, 0)) OVER (PARTITION BY period_start, customer_id, group_index ORDER BY {by} movement) AS BIGINT) AS up_so_far_micros,
         CAST(money_sum(GREATEST(-change_micros, 0)) OVER (PARTITION BY period_start, customer_id, group_index ORDER BY {by} movement) AS BIGINT) AS down_so_far_micros
  FROM segments
), transferred AS (
  SELECT period_start, {by} movement, change_micros,
         LEAST(up_micros, GREATEST(LEAST(all_up_micros, all_down_micros) - (up_so_far_micros - up_micros), 0)) AS in_micros,
         LEAST(down_micros, GREATEST(LEAST(all_up_micros, all_down_micros) - (down_so_far_micros - down_micros), 0)) AS out_micros
  FROM sides
), becoming AS (
  SELECT period_start, customer_id, moved_at, product, plan, country, market, channel, value_micros FROM customer_transfers
  UNION ALL
  SELECT period_start, customer_id, moved_at, product, plan, former_country, former_market, former_channel, -value_micros FROM customer_transfers
), taken AS (
  SELECT period_start, customer_id, moved_at, {by} money_sum(value_micros) AS part_micros
  FROM becoming
  GROUP BY {by} period_start, customer_id, moved_at
), parts AS (
  SELECT period_start, {by} movement, change_micros - in_micros + out_micros AS part_micros FROM transferred
  UNION ALL
  SELECT period_start, {by} 'transfer_in', in_micros FROM transferred
  UNION ALL
  SELECT period_start, {by} 'transfer_out', -out_micros FROM transferred
  UNION ALL
  SELECT period_start, {by} CASE WHEN part_micros > 0 THEN 'transfer_in' ELSE 'transfer_out' END, part_micros FROM taken
  UNION ALL
  SELECT period_start, {by} 'fx', fx_micros FROM segments
  UNION ALL
  SELECT period_start, {by} 'fx', known_revalued_micros - known_start_micros FROM customer_ends
  UNION ALL
  SELECT period_start, {by} 'restatement', known_start_micros - start_micros - (known_end_micros - end_micros) FROM customer_ends
)
SELECT p.period_start, {by} p.movement, money_sum(p.part_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM parts p CROSS JOIN policy
WHERE p.part_micros <> 0
GROUP BY p.period_start, {by} p.movement
