--- id = "asp"
--- name_en = "Average sale price"
--- name_es = "Precio medio de venta"
--- unit = "money_per"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- identities = ["mrr_rollforward", "one_new_per_customer"]
--- no_value = "nobody new came in this period"
--- owner = "finance"
--- description_en = "MRR of new customers per new customer."
--- description_es = "MRR de los clientes nuevos por cliente nuevo."
--- depends_on = ["movement_sums", "policy"]
--- source = "metric-rules B4: ASP = new MRR / new customers"
SELECT m.period_start, m.change_micros AS numerator_micros, m.customers AS denominator, policy.reporting_currency AS currency
FROM movement_sums m CROSS JOIN policy
WHERE m.movement = 'new'
