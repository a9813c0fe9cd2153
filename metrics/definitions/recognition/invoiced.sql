--- id = "invoiced"
--- name_en = "Invoiced"
--- name_es = "Facturado"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan"]
--- identities = ["recognition_rollforward"]
--- owner = "finance"
--- description_en = "What was invoiced in the period without tax, less credit notes, voids and bad debt."
--- description_es = "Lo facturado en el periodo sin impuestos, menos abonos, anulaciones e incobrables."
--- depends_on = ["line_recognition", "policy"]
--- source = "metric-rules B4: revenue recognition"
SELECT l.period_start, {by} money_sum(l.invoiced_at_end_micros - l.invoiced_at_start_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM line_recognition l CROSS JOIN policy
GROUP BY {by} l.period_start
