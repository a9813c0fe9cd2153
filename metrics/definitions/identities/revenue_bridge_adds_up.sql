--- id = "revenue_bridge_adds_up"
--- unit = "rows"
--- description_en = "The steps of the bridge make what was collected, and the first five what was invoiced. Rows are violations."
--- description_es = "Los pasos del puente dan lo cobrado, y los cinco primeros lo facturado. Las filas son incumplimientos."
--- depends_on = ["revenue_bridge", "invoiced", "collected"]
--- source = "metric-rules D6"
WITH parts AS (
  SELECT period_start, value_micros AS collected_micros, CASE WHEN step <> '6_receivables' THEN value_micros ELSE 0 END AS invoiced_micros FROM revenue_bridge
  UNION ALL
  SELECT period_start, -value_micros, 0 FROM collected
  UNION ALL
  SELECT period_start, 0, -value_micros FROM invoiced
)
SELECT period_start, 'the bridge misses what was collected by ' || CAST(money_sum(collected_micros) AS VARCHAR) || ' and what was invoiced by ' || CAST(money_sum(invoiced_micros) AS VARCHAR) || ' millionths' AS violation
FROM parts
GROUP BY period_start
HAVING money_sum(collected_micros) <> 0 OR money_sum(invoiced_micros) <> 0
