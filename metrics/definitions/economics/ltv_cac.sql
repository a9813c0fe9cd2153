--- id = "ltv_cac"
--- name_en = "LTV to CAC"
--- name_es = "LTV entre CAC"
--- unit = "factor"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback_switch = "cac_lag_months"
--- identities = ["one_new_per_customer"]
--- no_value = "there is no lifetime value or nobody new"
--- owner = "finance"
--- description_en = "What a customer is worth for each unit spent on winning one, in the same month; no value where either has none."
--- description_es = "Lo que vale un cliente por cada unidad gastada en captarlo, en el mismo mes; sin valor si falta alguno."
--- depends_on = ["lifetime_values", "cac"]
--- source = "metric-rules B4: LTV:CAC"
SELECT v.period_start, muldiv(v.ltv_micros, c.denominator, 1) AS numerator, c.numerator_micros AS denominator
FROM lifetime_values v
JOIN cac c ON c.period_start = v.period_start
WHERE c.denominator > 0
