--- id = "error_rate_after_release"
--- name_en = "Error rate after a release"
--- name_es = "Tasa de error tras una versión"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 10
--- description_en = "Requests of a service that failed (status 500 and above, no answer, or an exception), of those of the last 5 minutes. Only within 24 hours of a release to production do any count."
--- description_es = "Peticiones de un servicio que fallaron (estado 500 o más, sin respuesta, o una excepción), de las de los últimos 5 minutos. Solo cuentan en las 24 horas tras una versión en producción."
--- depends_on = ["http_requests_known", "releases_known", "moments"]
--- source = "kpis.csv: error_rate; alerts.csv: post_release_error_rate"
WITH releasing AS (
  SELECT MAX(r.released_at) AS released_at
  FROM releases_known r CROSS JOIN moments m
  WHERE r.environment = 'production' AND r.released_at > after_minutes(m.now_at, -1440) AND r.released_at <= m.now_at
)
SELECT h.service AS entity, CAST(NULL AS VARCHAR) AS label, MAX(r.released_at) AS since_at,
       COUNT(CASE WHEN r.released_at IS NOT NULL AND (h.status >= 500 OR h.status = 0 OR (h.error IS NOT NULL AND h.error NOT IN ('false', 'False', 'FALSE', '0', 'no', '-'))) THEN 1 END) AS numerator, COUNT(*) AS denominator
FROM http_requests_known h CROSS JOIN moments m CROSS JOIN releasing r
WHERE h.service NOT LIKE 'external:%' AND h.requested_at > after_minutes(m.now_at, -5) AND h.requested_at <= m.now_at
GROUP BY h.service
