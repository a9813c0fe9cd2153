--- id = "period_margins"
--- unit = "rows"
--- description_en = "Revenue, cost of serving it, cost of winning customers and all costs of every period."
--- description_es = "Ingresos, coste de servirlos, coste de captar clientes y costes totales de cada periodo."
--- depends_on = ["order_values", "costs", "periods"]
--- source = "metric-rules B4"
WITH parts AS (
  SELECT period_start, value_micros AS revenue_micros, 0 AS cogs_micros, 0 AS acquisition_micros, 0 AS team_micros, 0 AS cost_micros FROM order_values
  UNION ALL
  SELECT period_start, 0, CASE WHEN cost_role = 'cogs' THEN value_micros ELSE 0 END,
         CASE WHEN cost_role IN ('marketing', 'sales') THEN value_micros ELSE 0 END,
         CASE WHEN cost_role = 'sales_team' THEN value_micros ELSE 0 END, value_micros
  FROM costs
  UNION ALL
  SELECT period_start, 0, 0, 0, 0, 0 FROM periods
)
SELECT p.period_start, q.period_index, q.is_open, money_sum(p.revenue_micros) AS revenue_micros, money_sum(p.cogs_micros) AS cogs_micros,
       money_sum(p.acquisition_micros) AS acquisition_micros, money_sum(p.team_micros) AS team_micros, money_sum(p.cost_micros) AS cost_micros
FROM parts p
JOIN periods q ON q.period_start = p.period_start
GROUP BY p.period_start, q.period_index, q.is_open
