--- id = "deferred_revenue"
--- name_en = "Deferred revenue"
--- name_es = "Ingreso diferido"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan"]
--- identities = ["recognition_rollforward"]
--- owner = "finance"
--- description_en = "What is invoiced and not yet earned at the end of the period."
--- description_es = "Lo facturado y aún no ganado al final del periodo."
--- depends_on = ["line_recognition", "policy"]
--- source = "metric-rules B4: recognised + deferred + contra = invoiced"
SELECT l.period_start, {by} money_sum(l.invoiced_at_end_micros - l.earned_at_end_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM line_recognition l CROSS JOIN policy
GROUP BY {by} l.period_start
