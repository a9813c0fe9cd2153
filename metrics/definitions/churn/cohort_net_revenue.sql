--- id = "cohort_net_revenue"
--- name_en = "Net revenue retention by cohort"
--- name_es = "Retención neta de ingresos por cohorte"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["age"]
--- identities = ["mrr_not_negative", "mrr_events_rollforward"]
--- owner = "product"
--- description_en = "MRR that the new customers of a period pay at the end of each later one, as a share of the MRR they came with; it can pass 100 %."
--- description_es = "MRR que los clientes nuevos de un periodo pagan al final de cada periodo posterior, sobre el MRR con que llegaron; puede pasar del 100 %."
--- depends_on = ["revenue_cohorts"]
--- source = "metric-rules B4: cohorts, revenue cells; M0 is 100 % by definition"
SELECT period_start, age, net_micros AS numerator, size_micros AS denominator
FROM revenue_cohorts
