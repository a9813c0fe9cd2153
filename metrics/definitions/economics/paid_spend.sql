--- id = "paid_spend"
--- unit = "rows"
--- description_en = "Advertising of every period."
--- description_es = "Publicidad de cada periodo."
--- depends_on = ["costs", "periods"]
--- source = "metric-rules B4: CAC paid"
SELECT q.period_start, q.period_index, COALESCE(money_sum(CASE WHEN c.is_advertising = 1 THEN c.value_micros ELSE 0 END), 0) AS paid_micros
FROM periods q
LEFT JOIN costs c ON c.period_start = q.period_start
GROUP BY q.period_start, q.period_index
