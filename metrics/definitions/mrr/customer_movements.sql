--- id = "customer_movements"
--- unit = "rows"
--- description_en = "What became of every customer's MRR between the two ends of every period: one movement each, the part that exchange rates moved, and what was learned late of a closed month."
--- description_es = "Qué pasó con el MRR de cada cliente entre los dos extremos de cada periodo: un movimiento por cliente, la parte debida al tipo de cambio y lo sabido tarde de un mes cerrado."
--- depends_on = ["customer_ends", "customer_movement_events"]
--- source = "metric-rules B2, period-net"
WITH netted AS (
  SELECT period_start, customer_id, MAX(starts) AS starts, MAX(closes) AS closes, money_sum(start_micros) AS start_micros,
         money_sum(basis_micros) AS basis_micros, money_sum(revalued_micros) AS revalued_micros, money_sum(end_micros) AS end_micros
  FROM customer_ends
  GROUP BY period_start, customer_id
), arrivals AS (
  SELECT DISTINCT period_start, customer_id FROM customer_movement_events WHERE movement = 'new'
)
SELECT n.period_start, n.customer_id, n.starts, n.closes, n.start_micros, n.end_micros,
       n.end_micros - n.revalued_micros AS change_micros,
       n.revalued_micros - n.basis_micros AS fx_micros,
       n.basis_micros, n.basis_micros - n.start_micros AS restatement_micros,
       CASE WHEN n.starts = 0 AND n.closes = 0 THEN 'unchanged'
            WHEN n.starts = 0 AND a.customer_id IS NOT NULL THEN 'new'
            WHEN n.starts = 0 THEN 'reactivation'
            WHEN n.closes = 0 THEN 'churn'
            WHEN n.end_micros > n.revalued_micros THEN 'expansion'
            WHEN n.end_micros < n.revalued_micros THEN 'contraction'
            ELSE 'unchanged' END AS movement
FROM netted n
LEFT JOIN arrivals a ON a.period_start = n.period_start AND a.customer_id = n.customer_id
