--- id = "runway"
--- name_en = "Cash runway, months"
--- name_es = "Meses de caja disponibles"
--- unit = "factor"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback = 3
--- no_value = "no cash balance of every account, no three months of records, or nothing was burnt in them: profitable"
--- owner = "finance"
--- description_en = "Months that the cash at the end of the month lasts at the mean net burn of the last three finished months."
--- description_es = "Meses que dura la caja del final del mes al consumo neto medio de los últimos tres meses terminados."
--- depends_on = ["cash_at_end", "operating_cash_flow", "periods"]
--- source = "metric-rules B4: runway, cash divided by mean net burn of the last 3 months"
-- A month that brought money in counts against those that burnt it; one without any record burnt nothing, unless it is the first.
WITH windows AS (
  SELECT p.period_start, money_sum(-COALESCE(f.value_micros, 0)) AS burnt_micros, COUNT(*) AS months,
         MAX(CASE WHEN f.period_start IS NOT NULL AND h.period_index = p.period_index - 2 - p.is_open THEN 1 ELSE 0 END) AS is_known
  FROM periods p
  JOIN periods h ON h.is_open = 0 AND h.period_index > p.period_index - 3 - p.is_open AND h.period_index <= p.period_index
  LEFT JOIN operating_cash_flow f ON f.period_start = h.period_start
  GROUP BY p.period_start
)
SELECT c.period_start, c.value_micros AS numerator, GREATEST(muldiv(w.burnt_micros, 1, 3), 0) AS denominator
FROM cash_at_end c
JOIN windows w ON w.period_start = c.period_start
WHERE w.months = 3 AND w.is_known = 1
