--- id = "cmrr"
--- name_en = "Committed MRR"
--- name_es = "MRR comprometido"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- identities = ["mrr_not_negative"]
--- owner = "finance"
--- description_en = "MRR less what is already scheduled to end: cancellations that were asked for and have not taken effect."
--- description_es = "MRR menos lo que ya tiene fecha de fin: las bajas pedidas que aún no han surtido efecto."
--- depends_on = ["scheduled_churn_mrr", "mrr"]
--- source = "metric-rules B1, cancel_at_period_end: CMRR = MRR + scheduled churn"
WITH parts AS (
  SELECT period_start, value_micros, currency FROM mrr
  UNION ALL
  SELECT period_start, value_micros, currency FROM scheduled_churn_mrr
)
SELECT period_start, money_sum(value_micros) AS value_micros, MAX(currency) AS currency
FROM parts
GROUP BY period_start
