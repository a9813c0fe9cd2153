--- id = "uptime_month_to_date"
--- name_en = "Uptime, month to date"
--- name_es = "Disponibilidad, mes en curso"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 46200
--- description_en = "Passed checks of a service, of all its checks since the month began. Planned maintenance counts neither way."
--- description_es = "Comprobaciones superadas de un servicio, de todas desde que empezó el mes. El mantenimiento planificado no cuenta."
--- depends_on = ["uptime_checks_known", "moments"]
--- source = "kpis.csv: uptime; alerts.csv: uptime_below_sla"
SELECT u.service AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at,
       COUNT(CASE WHEN u.is_up = 1 THEN 1 END) AS numerator, COUNT(*) AS denominator
FROM uptime_checks_known u CROSS JOIN moments m
WHERE (u.planned IS NULL OR u.planned IN ('false', 'False', 'FALSE', '0', 'no')) AND u.checked_at >= m.month_starts_at AND u.checked_at <= m.now_at
GROUP BY u.service
