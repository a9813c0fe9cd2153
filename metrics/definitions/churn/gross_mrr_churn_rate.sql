--- id = "gross_mrr_churn_rate"
--- name_en = "Gross MRR churn"
--- name_es = "Cancelación bruta de MRR"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "one_new_per_customer"]
--- no_value = "nobody paid at the start of this period"
--- owner = "finance"
--- description_en = "MRR lost to churn and contraction in the period, as a share of the MRR it started with."
--- description_es = "MRR perdido por cancelación y contracción en el periodo, sobre el MRR con que empezó."
--- depends_on = ["movement_sums"]
--- source = "metric-rules B3: (churn + contraction) / start"
SELECT period_start,
       money_sum(CASE WHEN movement IN ('churn', 'contraction') THEN -change_micros ELSE 0 END) AS numerator,
       money_sum(basis_micros) AS denominator
FROM movement_sums
GROUP BY period_start
