--- id = "gross_revenue_retention"
--- name_en = "Gross revenue retention"
--- name_es = "Retención bruta de ingresos"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "retention_bounds"]
--- no_value = "nobody paid at the start of this period"
--- owner = "finance"
--- description_en = "Of the MRR at the start of the period, the share its customers still pay at the end, each counted up to what it paid at the start. Never above 100 %."
--- description_es = "Del MRR al inicio del periodo, la parte que sus clientes siguen pagando al final, cada uno hasta lo que pagaba al inicio. Nunca más del 100 %."
--- depends_on = ["movement_sums"]
--- source = "metric-rules B3: GRR by the cohort method"
SELECT period_start, money_sum(kept_micros) AS numerator, money_sum(based_micros) AS denominator
FROM movement_sums
WHERE based_customers > 0
GROUP BY period_start
