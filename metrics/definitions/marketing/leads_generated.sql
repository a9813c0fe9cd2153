--- id = "leads_generated"
--- name_en = "Leads generated"
--- name_es = "Leads generados"
--- unit = "count"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- owner = "marketing"
--- description_en = "Leads created in the period."
--- description_es = "Leads creados en el periodo."
--- depends_on = ["leads_known", "periods"]
--- source = "kpis.csv: leads_generated"
SELECT p.period_start, COUNT(*) AS value
FROM periods p
JOIN leads_known l ON l.created_at >= p.starts_at AND l.created_at < p.measured_at
GROUP BY p.period_start
