--- id = "churned_customers"
--- name_en = "Churned customers by reason"
--- name_es = "Clientes que se fueron, por motivo"
--- unit = "count"
--- direction = "down"
--- additivity = "flow"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["reason"]
--- identities = ["one_new_per_customer"]
--- owner = "finance"
--- description_en = "Times a customer left in the period, by reason; who leaves twice counts twice."
--- description_es = "Veces que un cliente se fue en el periodo, por motivo; quien se va dos veces cuenta dos veces."
--- depends_on = ["event_sums"]
--- source = "metric-rules B3, churn reason split"
SELECT period_start, reason, events AS value
FROM event_sums
WHERE movement = 'churn'
