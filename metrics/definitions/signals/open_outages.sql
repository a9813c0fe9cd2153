--- id = "open_outages"
--- name_en = "Outages that last"
--- name_es = "Caídas en curso"
--- unit = "rows"
--- reading = "seconds"
--- evidence = ["service", "severity"]
--- description_en = "Outages that are not over, and how long they have lasted."
--- description_es = "Caídas que no han terminado y cuánto duran."
--- depends_on = ["incidents_known", "moments"]
--- source = "kpis.csv: recovery_time_objective; alerts.csv: rto_exceeded"
SELECT i.source || '/' || i.record_key AS entity, i.title AS label, i.started_at AS since_at,
       micros_between(i.started_at, m.now_at) AS numerator, 1000000 AS denominator, i.service, i.severity
FROM incidents_known i CROSS JOIN moments m
WHERE i.incident_type = 'outage' AND i.started_at <= m.now_at AND (i.resolved_at IS NULL OR i.resolved_at > m.now_at)
