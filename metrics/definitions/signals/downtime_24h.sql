--- id = "downtime_24h"
--- name_en = "Downtime, 24 hours"
--- name_es = "Caída, 24 horas"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 1445
--- description_en = "Failed checks of a service, of all its checks in the last 24 hours. Planned maintenance and checks that were not made count neither way."
--- description_es = "Comprobaciones fallidas de un servicio, de todas las de las últimas 24 horas. El mantenimiento planificado y las comprobaciones no hechas no cuentan."
--- depends_on = ["uptime_checks_known", "moments"]
--- source = "kpis.csv: downtime_24h"
SELECT u.service AS entity, CAST(NULL AS VARCHAR) AS label,
       MIN(CASE WHEN u.is_up = 0 THEN u.checked_at END) AS since_at, COUNT(CASE WHEN u.is_up = 0 THEN 1 END) AS numerator, COUNT(*) AS denominator
FROM uptime_checks_known u CROSS JOIN moments m
WHERE (u.planned IS NULL OR u.planned IN ('false', 'False', 'FALSE', '0', 'no')) AND u.checked_at > after_minutes(m.now_at, -1440) AND u.checked_at <= m.now_at
GROUP BY u.service
