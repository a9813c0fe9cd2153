--- id = "carr"
--- name_en = "Contracted ARR"
--- name_es = "ARR contratado"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- identities = ["mrr_not_negative"]
--- owner = "finance"
--- description_en = "Twelve times committed MRR, with what is signed and has not started."
--- description_es = "Doce veces el MRR comprometido, con lo firmado que aún no ha empezado."
--- depends_on = ["cmrr", "signed_mrr"]
--- source = "metric-rules B4: CARR adds signed-not-started and subtracts scheduled churn"
WITH parts AS (
  SELECT period_start, value_micros, currency FROM cmrr
  UNION ALL
  SELECT period_start, value_micros, currency FROM signed_mrr
)
SELECT period_start, muldiv(money_sum(value_micros), 12, 1) AS value_micros, MAX(currency) AS currency
FROM parts
GROUP BY period_start
