--- id = "cohort_gross_revenue"
--- name_en = "Gross revenue retention by cohort"
--- name_es = "Retención bruta de ingresos por cohorte"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["age"]
--- identities = ["mrr_not_negative", "mrr_events_rollforward"]
--- owner = "product"
--- description_en = "MRR that the new customers of a period pay at the end of each later one, each up to what it came with, as a share of the MRR they came with: never above 100 %."
--- description_es = "MRR que los clientes nuevos de un periodo pagan al final de cada periodo posterior, cada uno hasta lo que pagaba al llegar, sobre el MRR con que llegaron: nunca más del 100 %."
--- depends_on = ["revenue_cohorts"]
--- source = "metric-rules B4: cohorts, revenue cells; M0 is 100 % by definition"
SELECT period_start, age, gross_micros AS numerator, size_micros AS denominator
FROM revenue_cohorts
