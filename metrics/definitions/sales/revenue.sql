--- id = "revenue"
--- name_en = "Order revenue"
--- name_es = "Ingresos por pedidos"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "order_type", "country", "market", "channel"]
--- owner = "finance"
--- description_en = "What was sold in the period less refunds, in the reporting currency at the rate of each order's day."
--- description_es = "Lo vendido en el periodo menos los reembolsos, en la moneda de reporte a la tasa del día de cada pedido."
--- depends_on = ["order_values", "policy"]
--- source = "metric-rules B4"
SELECT o.period_start, {by} money_sum(o.value_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM order_values o CROSS JOIN policy
GROUP BY {by} o.period_start
