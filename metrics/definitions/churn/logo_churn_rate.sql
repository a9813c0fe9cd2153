--- id = "logo_churn_rate"
--- name_en = "Customer churn"
--- name_es = "Tasa de cancelación de clientes"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "one_new_per_customer"]
--- targets = [{ comparator = "<", level = 0.05, source = "plan: churn rate below 5 %" }]
--- no_value = "nobody paid at the start of this period"
--- owner = "finance"
--- description_en = "Of the customers that paid at the start of the period, the share that no longer pays at its end."
--- description_es = "De los clientes que pagaban al inicio del periodo, la parte que ya no paga al final."
--- depends_on = ["movement_sums"]
--- source = "metric-rules B3: logo churn, start base"
SELECT period_start, money_sum(CASE WHEN movement = 'churn' THEN starting_customers ELSE 0 END) AS numerator, money_sum(starting_customers) AS denominator
FROM movement_sums
WHERE starting_customers > 0
GROUP BY period_start
