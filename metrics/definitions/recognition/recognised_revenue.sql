--- id = "recognised_revenue"
--- name_en = "Recognised revenue"
--- name_es = "Ingreso reconocido"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan"]
--- identities = ["recognition_rollforward"]
--- owner = "finance"
--- description_en = "What was earned in the period of what was charged, over the days it is for."
--- description_es = "Lo ganado en el periodo de lo cobrado, en los días a que corresponde."
--- depends_on = ["line_recognition", "policy"]
--- source = "metric-rules B4: revenue recognition"
SELECT l.period_start, {by} money_sum(l.earned_at_end_micros - l.earned_at_start_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM line_recognition l CROSS JOIN policy
WHERE l.line_type = 'charge'
GROUP BY {by} l.period_start
