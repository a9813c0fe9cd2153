--- id = "mrr_movements"
--- name_en = "MRR movements"
--- name_es = "Movimientos de MRR"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "none"
--- grains = ["day", "week", "month", "quarter", "year"]
--- breakdown = ["movement"]
--- rounds_to = "mrr_ends"
--- identities = ["mrr_rollforward", "mrr_not_negative", "one_new_per_customer"]
--- owner = "finance"
--- description_en = "What moved MRR in the period, by customer: new, reactivation, expansion, contraction, churn, exchange rates and restatement (what was learned late of a closed month). Start plus movements is end."
--- description_es = "Qué movió el MRR en el periodo, por cliente: nuevo, reactivación, expansión, contracción, cancelación, tipo de cambio y reexpresión (lo sabido tarde de un mes cerrado). El inicio más los movimientos da el final."
--- depends_on = ["movement_sums", "policy"]
--- source = "metric-rules B2, period-net"
WITH parts AS (
  SELECT period_start, movement, change_micros AS part_micros FROM movement_sums WHERE movement <> 'unchanged'
  UNION ALL
  SELECT period_start, 'fx', fx_micros FROM movement_sums WHERE fx_customers > 0
  UNION ALL
  SELECT period_start, 'restatement', restatement_micros FROM movement_sums WHERE restated_customers > 0
)
SELECT p.period_start, p.movement, money_sum(p.part_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM parts p CROSS JOIN policy
GROUP BY p.period_start, p.movement
