--- id = "burn_multiple"
--- name_en = "Burn multiple"
--- name_es = "Múltiplo de consumo"
--- unit = "factor"
--- direction = "down"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward"]
--- no_value = "there is no net new ARR in this period"
--- owner = "finance"
--- description_en = "Money burnt (all costs less what was sold) for each unit of net new ARR. Without net new ARR there is no value."
--- description_es = "Caja consumida (costes menos ventas) por unidad de ARR neto nuevo. Sin ARR neto nuevo no hay valor."
--- depends_on = ["net_new_arr", "period_margins"]
--- source = "metric-rules B4: burn multiple (Sacks)"
SELECT n.period_start, m.cost_micros - m.revenue_micros AS numerator, n.value_micros AS denominator
FROM net_new_arr n
JOIN period_margins m ON m.period_start = n.period_start
WHERE n.value_micros > 0
