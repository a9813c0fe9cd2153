--- id = "ltv"
--- name_en = "Customer lifetime value"
--- name_es = "Valor de vida del cliente"
--- unit = "money_per"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback = 6
--- identities = ["mrr_rollforward"]
--- no_value = "there is no churn in six closed months, no gross margin or no customer"
--- owner = "finance"
--- description_en = "ARPA times gross margin over monthly customer churn, the mean of six closed months. No churn is no value, not infinity."
--- description_es = "ARPA por margen bruto entre la cancelación mensual, media de seis meses cerrados. Sin cancelaciones no hay valor, no infinito."
--- depends_on = ["lifetime_values"]
--- source = "metric-rules B4: LTV simple"
SELECT period_start, ltv_micros AS numerator_micros, 1 AS denominator, currency
FROM lifetime_values
