--- id = "orders"
--- name_en = "Orders"
--- name_es = "Pedidos"
--- unit = "count"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "order_type", "country", "market", "channel"]
--- owner = "finance"
--- description_en = "Orders placed in the period; refunds are not orders."
--- description_es = "Pedidos del periodo; los reembolsos no son pedidos."
--- depends_on = ["order_values"]
--- source = "metric-rules B4"
SELECT period_start, {by} COUNT(*) AS value
FROM order_values
WHERE order_type <> 'refund'
GROUP BY {by} period_start
