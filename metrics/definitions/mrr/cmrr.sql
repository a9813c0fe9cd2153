--- id = "cmrr"
--- name_en = "Committed MRR"
--- name_es = "MRR comprometido"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- identities = ["mrr_not_negative"]
--- owner = "finance"
--- description_en = "MRR as its records are known (closed or not) less what is already scheduled to end: cancellations that were asked for and have not taken effect."
--- description_es = "MRR según los registros conocidos (con cuentas cerradas o no) menos lo que ya tiene fecha de fin: las bajas pedidas que aún no han surtido efecto."
--- depends_on = ["scheduled_churn_mrr", "mrr_known_at", "periods", "policy"]
--- source = "metric-rules B1, cancel_at_period_end: CMRR = MRR + scheduled churn"
WITH parts AS (
  SELECT p.period_start, m.value_micros, policy.reporting_currency AS currency
  FROM periods p
  JOIN mrr_known_at m ON m.boundary_at = p.measured_at
  CROSS JOIN policy
  UNION ALL
  SELECT period_start, value_micros, currency FROM scheduled_churn_mrr
)
SELECT period_start, money_sum(value_micros) AS value_micros, MAX(currency) AS currency
FROM parts
GROUP BY period_start
