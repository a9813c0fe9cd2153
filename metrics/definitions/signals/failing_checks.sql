--- id = "failing_checks"
--- name_en = "Checks that fail now"
--- name_es = "Comprobaciones que fallan ahora"
--- unit = "rows"
--- reading = "count"
--- evidence = ["reason"]
--- horizon_minutes = 65
--- description_en = "Services and regions whose newest check, not older than an hour, failed outside planned maintenance."
--- description_es = "Servicios y regiones cuya última comprobación, de menos de una hora, falló fuera del mantenimiento planificado."
--- depends_on = ["uptime_checks_known", "moments"]
--- source = "alerts.csv: continuous_monitoring"
WITH newest AS (
  SELECT u.service, COALESCE(u.region, 'all') AS region, u.is_up, u.planned, u.reason, u.checked_at,
         ROW_NUMBER() OVER (PARTITION BY u.service, u.region ORDER BY u.checked_at DESC, u.arrival_seq DESC) AS place
  FROM uptime_checks_known u CROSS JOIN moments m
  WHERE u.checked_at > after_minutes(m.now_at, -60) AND u.checked_at <= m.now_at
)
SELECT service || '/' || region AS entity, CAST(NULL AS VARCHAR) AS label, checked_at AS since_at, 1 AS numerator, 1 AS denominator, reason
FROM newest
WHERE place = 1 AND is_up = 0 AND planned IS NULL
