--- id = "mrr_rounding_residue"
--- name_en = "Rounding residue of MRR"
--- name_es = "Residuo de redondeo del MRR"
--- unit = "money_micros"
--- direction = "neutral"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- owner = "finance"
--- description_en = "How far the sum of amounts rounded to minor units one by one is from MRR, which is rounded once: the other legal rounding, published."
--- description_es = "Cuánto se aparta del MRR, que se redondea una vez, la suma de importes redondeados uno a uno: el otro redondeo legal, publicado."
--- depends_on = ["mrr_at", "periods", "policy"]
--- source = "metric-rules B1, arithmetic: rounded sum, residue published"
SELECT p.period_start, money_sum(muldiv(muldiv(m.value_micros, 1, 1000000), 1000000, 1) - m.value_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM periods p
JOIN mrr_at m ON m.boundary_at = p.measured_at
CROSS JOIN policy
GROUP BY p.period_start
