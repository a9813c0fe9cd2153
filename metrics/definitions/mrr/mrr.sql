--- id = "mrr"
--- name_en = "MRR"
--- name_es = "MRR"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan", "country", "market", "channel"]
--- identities = ["mrr_rollforward", "mrr_not_negative", "one_new_per_customer"]
--- owner = "finance"
--- description_en = "Monthly recurring revenue at the end of the period, in the reporting currency."
--- description_es = "Ingreso recurrente mensual al final del periodo, en la moneda de reporte."
--- depends_on = ["mrr_at", "periods", "policy"]
--- source = "metric-rules B1"
SELECT p.period_start, {by} money_sum(m.value_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM periods p
JOIN mrr_at m ON m.boundary_at = p.measured_at
CROSS JOIN policy
GROUP BY {by} p.period_start
