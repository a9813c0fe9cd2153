--- id = "failing_checks"
--- name_en = "Checks that fail now"
--- name_es = "Comprobaciones que fallan ahora"
--- unit = "rows"
--- reading = "count"
--- evidence = ["reason"]
--- horizon_minutes = 1445
--- description_en = "Services and regions of which the newest check of the last 24 hours failed (1) or passed (0). A probe that falls silent leaves its last word. Planned maintenance is no failure."
--- description_es = "Servicios y regiones cuya última comprobación de las últimas 24 horas falló (1) o pasó (0). Una sonda que calla deja su última palabra. El mantenimiento planificado no es un fallo."
--- depends_on = ["uptime_checks_known", "moments"]
--- source = "alerts.csv: continuous_monitoring"
WITH named AS (
  SELECT u.service || '/' || COALESCE(u.region, 'all') AS entity, u.source, u.reason, u.checked_at, u.arrival_seq,
         CASE WHEN u.is_up = 0 AND (u.planned IS NULL OR u.planned IN ('false', 'False', 'FALSE', '0', 'no')) THEN 1 ELSE 0 END AS fails
  FROM uptime_checks_known u CROSS JOIN moments m
  WHERE u.checked_at > after_minutes(m.now_at, -1440) AND u.checked_at <= m.now_at
), newest AS (
  SELECT entity, fails, reason, checked_at, ROW_NUMBER() OVER (PARTITION BY entity, source ORDER BY checked_at DESC, arrival_seq DESC) AS place
  FROM named
)
SELECT entity, CAST(NULL AS VARCHAR) AS label, MIN(CASE WHEN fails = 1 THEN checked_at END) AS since_at, MAX(fails) AS numerator, 1 AS denominator,
       MIN(CASE WHEN fails = 1 THEN reason END) AS reason
FROM newest
WHERE place = 1
GROUP BY entity
