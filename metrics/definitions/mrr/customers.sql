--- id = "customers"
--- name_en = "Paying customers"
--- name_es = "Clientes de pago"
--- unit = "count"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- dimensions = ["product", "plan", "country", "market", "channel"]
--- identities = ["mrr_not_negative"]
--- owner = "finance"
--- description_en = "Customers with MRR above zero at the end of the period."
--- description_es = "Clientes con MRR mayor que cero al final del periodo."
--- depends_on = ["mrr_at", "periods"]
--- source = "metric-rules B4"
SELECT p.period_start, {by} COUNT(DISTINCT m.customer_id) AS value
FROM periods p
JOIN mrr_at m ON m.boundary_at = p.measured_at
GROUP BY {by} p.period_start
