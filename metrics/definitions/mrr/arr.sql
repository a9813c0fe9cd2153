--- id = "arr"
--- name_en = "ARR"
--- name_es = "ARR"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan", "country", "market", "channel"]
--- identities = ["mrr_rollforward", "mrr_not_negative", "one_new_per_customer"]
--- owner = "finance"
--- description_en = "Annual run rate: twelve times MRR."
--- description_es = "Ritmo anual: doce veces el MRR."
--- depends_on = ["mrr"]
--- source = "metric-rules B4"
SELECT period_start, {by} muldiv(value_micros, 12, 1) AS value_micros, currency
FROM mrr
