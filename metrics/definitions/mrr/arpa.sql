--- id = "arpa"
--- name_en = "ARPA"
--- name_es = "Ingreso medio por cliente"
--- unit = "money_per"
--- direction = "up"
--- additivity = "none"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan", "country", "market", "channel"]
--- identities = ["mrr_rollforward", "mrr_not_negative"]
--- no_value = "nobody pays at the end of this period"
--- owner = "finance"
--- description_en = "MRR per paying customer at the end of the period."
--- description_es = "MRR por cliente de pago al final del periodo."
--- depends_on = ["mrr_at", "periods", "policy"]
--- source = "metric-rules B4"
SELECT p.period_start, {by} money_sum(m.value_micros) AS numerator_micros, COUNT(DISTINCT m.customer_id) AS denominator,
       MAX(policy.reporting_currency) AS currency
FROM periods p
JOIN mrr_at m ON m.boundary_at = p.measured_at
CROSS JOIN policy
GROUP BY {by} p.period_start
