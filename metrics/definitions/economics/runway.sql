--- id = "runway"
--- name_en = "Cash runway, months"
--- name_es = "Meses de caja disponibles"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback = 3
--- no_value = "no cash balance was reported, or the last three finished months burnt nothing: profitable"
--- owner = "finance"
--- description_en = "Months that the cash at the end of the month lasts at the mean net burn of the last three finished months."
--- description_es = "Meses que dura la caja del final del mes al consumo neto medio de los últimos tres meses terminados."
--- depends_on = ["cash_at_end", "operating_cash_flow", "periods"]
--- source = "metric-rules B4: runway, cash divided by mean net burn of the last 3 months"
-- A month that brought money in counts against those that burnt it.
WITH windows AS (
  SELECT p.period_start, money_sum(-f.value_micros) AS burnt_micros, COUNT(*) AS months
  FROM periods p
  JOIN periods h ON h.is_open = 0 AND h.period_index > p.period_index - 3 - p.is_open AND h.period_index <= p.period_index
  JOIN operating_cash_flow f ON f.period_start = h.period_start
  GROUP BY p.period_start
)
SELECT c.period_start, muldiv(c.value_micros, 3, 1) AS numerator, GREATEST(w.burnt_micros, 0) AS denominator
FROM cash_at_end c
JOIN windows w ON w.period_start = c.period_start
WHERE w.months = 3
