--- id = "rule_of_40"
--- name_en = "Rule of 40"
--- name_es = "Regla del 40"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback = 12
--- identities = ["mrr_rollforward"]
--- no_value = "there is no ARR a year ago or nothing was sold in the year"
--- owner = "finance"
--- description_en = "Growth of ARR over a year plus the margin of those twelve months, in millionths of one: 0.4 is the rule. Margin is what was sold less all costs."
--- description_es = "Crecimiento del ARR en un año más el margen de esos doce meses, en millonésimas: 0,4 es la regla. El margen es lo vendido menos todos los costes."
--- depends_on = ["mrr_ends", "period_margins", "periods"]
--- source = "metric-rules B4: rule of 40, growth plus margin"
WITH year AS (
  SELECT p.period_start, money_sum(m.revenue_micros) AS revenue_micros, money_sum(m.cost_micros) AS cost_micros, COUNT(*) AS months
  FROM periods p
  JOIN periods h ON h.period_index > p.period_index - 12 AND h.period_index <= p.period_index
  JOIN period_margins m ON m.period_start = h.period_start
  GROUP BY p.period_start
)
SELECT p.period_start,
       muldiv(e.closing_micros - b.closing_micros, 1000000, b.closing_micros) + muldiv(y.revenue_micros - y.cost_micros, 1000000, y.revenue_micros) AS numerator,
       1000000 AS denominator
FROM periods p
JOIN mrr_ends e ON e.period_start = p.period_start
JOIN periods g ON g.period_index = p.period_index - 12
JOIN mrr_ends b ON b.period_start = g.period_start
JOIN year y ON y.period_start = p.period_start
WHERE b.closing_micros > 0 AND y.revenue_micros > 0 AND y.months = 12
