--- id = "error_rate"
--- name_en = "Error rate, 5 minutes"
--- name_es = "Tasa de error, 5 minutos"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 10
--- description_en = "Requests of a service that failed (status 500 and above, no answer, or an exception), of those of the last 5 minutes. None count within 24 hours of a release to production: error_rate_after_release has those."
--- description_es = "Peticiones de un servicio que fallaron (estado 500 o más, sin respuesta, o una excepción), de las de los últimos 5 minutos. En las 24 horas tras una versión en producción no cuenta ninguna: las tiene error_rate_after_release."
--- depends_on = ["http_requests_known", "releases_known", "moments"]
--- source = "kpis.csv: error_rate; alerts.csv: proactive_monitoring_alert"
WITH releasing AS (
  SELECT MAX(r.released_at) AS released_at
  FROM releases_known r CROSS JOIN moments m
  WHERE r.environment = 'production' AND r.released_at > after_minutes(m.now_at, -1440) AND r.released_at <= m.now_at
)
SELECT h.service AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at,
       COUNT(CASE WHEN r.released_at IS NULL AND (h.status >= 500 OR h.status = 0 OR (h.error IS NOT NULL AND h.error NOT IN ('false', 'False', 'FALSE', '0', 'no', '-'))) THEN 1 END) AS numerator, COUNT(*) AS denominator
FROM http_requests_known h CROSS JOIN moments m CROSS JOIN releasing r
WHERE h.service NOT LIKE 'external:%' AND h.requested_at > after_minutes(m.now_at, -5) AND h.requested_at <= m.now_at
GROUP BY h.service
