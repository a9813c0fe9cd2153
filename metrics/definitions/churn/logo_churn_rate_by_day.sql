--- id = "logo_churn_rate_by_day"
--- unit = "rows"
--- description_en = "Customers at the start of each period and how many of them are gone at its end."
--- description_es = "Clientes al inicio de cada periodo y cuántos ya no están al final."
--- depends_on = ["movement_sums"]
--- source = "metric-rules B3"
SELECT period_start, money_sum(starting_customers) AS customers, money_sum(CASE WHEN movement = 'churn' THEN starting_customers ELSE 0 END) AS churned
FROM movement_sums
WHERE starting_customers > 0
GROUP BY period_start
