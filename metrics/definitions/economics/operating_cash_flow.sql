--- id = "operating_cash_flow"
--- name_en = "Operating cash flow"
--- name_es = "Flujo de caja operativo"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["month", "quarter", "year"]
--- owner = "finance"
--- description_en = "Money received from customers in the period less expenses and advertising paid in it."
--- description_es = "Dinero recibido de clientes en el periodo menos los gastos y la publicidad pagados en él."
--- depends_on = ["collected", "costs", "policy"]
--- source = "kpis.csv: operating_cash_flow"
WITH parts AS (
  SELECT period_start, value_micros FROM collected
  UNION ALL
  SELECT period_start, -value_micros FROM costs
)
SELECT p.period_start, money_sum(p.value_micros) AS value_micros, MAX(policy.reporting_currency) AS currency
FROM parts p CROSS JOIN policy
GROUP BY p.period_start
