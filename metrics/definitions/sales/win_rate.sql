--- id = "win_rate"
--- name_en = "Win rate"
--- name_es = "Tasa de cierre"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["day", "week", "month", "quarter", "year"]
--- no_value = "no opportunity was closed in this period"
--- owner = "sales"
--- description_en = "Opportunities won of those closed in the period."
--- description_es = "Oportunidades ganadas entre las cerradas en el periodo."
--- depends_on = ["opportunities_known", "periods"]
--- source = "kpis.csv: win_rate"
SELECT p.period_start,
       COUNT(CASE WHEN o.status = 'won' THEN 1 END) AS numerator,
       COUNT(*) AS denominator
FROM periods p
JOIN opportunities_known o ON o.closed_at >= p.starts_at AND o.closed_at < p.measured_at
WHERE o.status IN ('won', 'lost')
GROUP BY p.period_start
