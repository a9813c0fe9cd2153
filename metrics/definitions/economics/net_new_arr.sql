--- id = "net_new_arr"
--- name_en = "Net new ARR"
--- name_es = "ARR neto nuevo"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward"]
--- owner = "finance"
--- description_en = "ARR at the end of the period less ARR at its start, exchange rates included."
--- description_es = "ARR al final del periodo menos ARR al inicio, con el tipo de cambio."
--- depends_on = ["mrr_ends", "policy"]
--- source = "metric-rules B4: burn multiple, magic number"
SELECT e.period_start, muldiv(e.closing_micros - e.opening_micros, 12, 1) AS value_micros, policy.reporting_currency AS currency
FROM mrr_ends e CROSS JOIN policy
