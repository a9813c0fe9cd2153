--- id = "market_opportunities"
--- name_en = "Market segments found"
--- name_es = "Segmentos de mercado encontrados"
--- unit = "rows"
--- reading = "count"
--- description_en = "Market segments of the last 30 days: reported values named market_opportunity."
--- description_es = "Segmentos de mercado de los últimos 30 días: valores informados llamados market_opportunity."
--- depends_on = ["reported_values_known", "moments"]
--- source = "kpis.csv: market_opportunities; alerts.csv: market_opportunity"
SELECT v.source || '/' || v.record_key AS entity, COALESCE(v.words, v.part) AS label, v.occurred_at AS since_at, 1 AS numerator, 1 AS denominator
FROM reported_values_known v CROSS JOIN moments m
WHERE v.value_name = 'market_opportunity' AND v.occurred_at > after_minutes(m.now_at, -43200) AND v.occurred_at <= m.now_at
