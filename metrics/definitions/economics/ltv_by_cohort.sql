--- id = "ltv_by_cohort"
--- name_en = "Lifetime value by cohort, observed"
--- name_es = "Valor de vida por cohorte, observado"
--- unit = "money_per"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- breakdown = ["age"]
--- identities = ["mrr_events_rollforward"]
--- owner = "finance"
--- description_en = "Gross profit per new customer of a month, added up to each age. Nothing is extrapolated."
--- description_es = "Margen bruto por cliente nuevo de un mes, acumulado hasta cada edad. No se extrapola nada."
--- depends_on = ["cohort_profits", "policy"]
--- source = "metric-rules B4: LTV cohort"
SELECT c.period_start, c.age, c.profit_micros AS numerator_micros, c.customers AS denominator, policy.reporting_currency AS currency
FROM cohort_profits c CROSS JOIN policy
