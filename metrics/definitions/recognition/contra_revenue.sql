--- id = "contra_revenue"
--- name_en = "Contra revenue"
--- name_es = "Menor ingreso"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan"]
--- identities = ["recognition_rollforward"]
--- owner = "finance"
--- description_en = "What was taken back in the period of revenue already earned: the served part of credit notes, voids and bad debt; below zero."
--- description_es = "Lo devuelto en el periodo de ingresos ya ganados: la parte servida de abonos, anulaciones e incobrables; menor que cero."
--- depends_on = ["line_recognition", "policy"]
--- source = "metric-rules B4: revenue recognition"
SELECT l.period_start, {by} money_sum(l.earned_at_end_micros - l.earned_at_start_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM line_recognition l CROSS JOIN policy
WHERE l.line_type <> 'charge'
GROUP BY {by} l.period_start
