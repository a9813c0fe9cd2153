--- id = "incidents"
--- name_en = "Incidents"
--- name_es = "Incidentes"
--- unit = "rows"
--- reading = "count"
--- evidence = ["incident_type", "severity", "service"]
--- description_en = "Incidents that are not over (1), and those that ended in the last 7 days (0): also what was over before anybody heard of it is told."
--- description_es = "Incidentes que no han terminado (1) y los que terminaron en los últimos 7 días (0): también se avisa de lo que terminó antes de saberse."
--- depends_on = ["incidents_known", "moments"]
--- source = "kpis.csv: security_breaches"
SELECT i.source || '/' || i.record_key AS entity, i.title AS label, i.started_at AS since_at,
       CASE WHEN i.resolved_at <= m.now_at THEN 0 ELSE 1 END AS numerator, 1 AS denominator, i.incident_type, i.severity, i.service
FROM incidents_known i CROSS JOIN moments m
WHERE i.started_at <= m.now_at AND (i.resolved_at IS NULL OR i.resolved_at > after_minutes(m.now_at, -10080))
