--- id = "quick_ratio"
--- name_en = "Quick ratio"
--- name_es = "Ratio rápido"
--- unit = "factor"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "one_new_per_customer"]
--- no_value = "nothing was lost in this period"
--- owner = "finance"
--- description_en = "MRR won (new, expansion and, by policy, reactivation) for each unit of MRR lost (contraction and churn). Nothing lost is no value, not infinity."
--- description_es = "MRR ganado (nuevo, expansión y, según la política, reactivación) por unidad de MRR perdido (contracción y cancelación). Si no se pierde nada no hay valor, no infinito."
--- depends_on = ["movement_sums", "policy"]
--- source = "metric-rules B4, quick ratio"
SELECT m.period_start,
       money_sum(CASE WHEN m.movement IN ('new', 'expansion') OR (m.movement = 'reactivation' AND policy.quick_ratio_counts_reactivation = 1) THEN m.change_micros ELSE 0 END) AS numerator,
       money_sum(CASE WHEN m.movement IN ('churn', 'contraction') THEN -m.change_micros ELSE 0 END) AS denominator
FROM movement_sums m CROSS JOIN policy
GROUP BY m.period_start
