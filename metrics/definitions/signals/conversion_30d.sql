--- id = "conversion_30d"
--- name_en = "Conversion of leads, 30 days"
--- name_es = "Conversión de leads, 30 días"
--- unit = "rows"
--- reading = "percent"
--- description_en = "Leads created in the last 30 days that became customers, of all of them."
--- description_es = "Leads creados en los últimos 30 días que se hicieron clientes, de todos ellos."
--- depends_on = ["leads_known", "moments"]
--- source = "kpis.csv: conversion_rate_30d; alerts.csv: high_conversion"
SELECT 'all' AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, COUNT(CASE WHEN l.converted_at <= m.now_at THEN 1 END) AS numerator, COUNT(*) AS denominator
FROM leads_known l CROSS JOIN moments m
WHERE l.created_at > after_minutes(m.now_at, -43200) AND l.created_at <= m.now_at
HAVING COUNT(*) > 0
