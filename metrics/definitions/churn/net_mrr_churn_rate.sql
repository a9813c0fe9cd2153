--- id = "net_mrr_churn_rate"
--- name_en = "Net MRR churn"
--- name_es = "Cancelación neta de MRR"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "one_new_per_customer"]
--- no_value = "nobody paid at the start of this period"
--- owner = "finance"
--- description_en = "MRR lost to churn and contraction less what expansion and reactivation brought, as a share of the MRR the period started with. Below zero means growth from existing customers."
--- description_es = "MRR perdido por cancelación y contracción menos lo ganado por expansión y reactivación, sobre el MRR inicial del periodo. Por debajo de cero, los clientes existentes hacen crecer el ingreso."
--- depends_on = ["movement_sums"]
--- source = "metric-rules B3: (churn + contraction - expansion - reactivation) / start"
SELECT period_start,
       money_sum(CASE WHEN movement IN ('churn', 'contraction', 'expansion', 'reactivation') THEN -change_micros ELSE 0 END) AS numerator,
       money_sum(basis_micros) AS denominator
FROM movement_sums
GROUP BY period_start
