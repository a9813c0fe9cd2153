--- id = "net_revenue_retention"
--- name_en = "Net revenue retention"
--- name_es = "Retención neta de ingresos"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "retention_bounds"]
--- no_value = "nobody paid at the start of this period"
--- owner = "finance"
--- description_en = "MRR at the end of the period of the customers who paid at its start, as a share of what they paid then. New and returning customers are not in it."
--- description_es = "MRR al final del periodo de los clientes que pagaban al inicio, sobre lo que pagaban entonces. No incluye clientes nuevos ni los que vuelven."
--- depends_on = ["movement_sums"]
--- source = "metric-rules B3: NRR by the cohort method"
SELECT period_start, money_sum(based_end_micros) AS numerator, money_sum(based_micros) AS denominator
FROM movement_sums
WHERE based_customers > 0
GROUP BY period_start
