--- id = "response_time_after_release"
--- name_en = "Response time after a release"
--- name_es = "Tiempo de respuesta tras una versión"
--- unit = "rows"
--- reading = "seconds"
--- horizon_minutes = 10
--- description_en = "The time within which 95 of 100 requests of a service were answered (nearest rank) over the last 5 minutes. Fewer than 20 requests say nothing. Within 24 hours of a release to production."
--- description_es = "El tiempo en que se respondieron 95 de cada 100 peticiones de un servicio (rango más cercano) en los últimos 5 minutos. Menos de 20 peticiones no dicen nada. En las 24 horas tras una versión en producción."
--- depends_on = ["http_requests_known", "releases_known", "moments"]
--- source = "alerts.csv: post_release_latency"
WITH releasing AS (
  SELECT MAX(r.released_at) AS released_at
  FROM releases_known r CROSS JOIN moments m
  WHERE r.environment = 'production' AND r.released_at > after_minutes(m.now_at, -1440) AND r.released_at <= m.now_at
), ranked AS (
  SELECT h.service, h.duration_us,
         ROW_NUMBER() OVER (PARTITION BY h.service ORDER BY h.duration_us, h.arrival_seq) AS place,
         COUNT(*) OVER (PARTITION BY h.service) AS requests
  FROM http_requests_known h CROSS JOIN moments m
  WHERE h.duration_us IS NOT NULL AND h.service NOT LIKE 'external:%' AND h.requested_at > after_minutes(m.now_at, -5) AND h.requested_at <= m.now_at
)
SELECT k.service AS entity, CAST(NULL AS VARCHAR) AS label, r.released_at AS since_at, CASE WHEN r.released_at IS NULL THEN 0 ELSE MIN(k.duration_us) END AS numerator, 1000000 AS denominator
FROM ranked k CROSS JOIN releasing r
WHERE 100 * k.place >= 95 * k.requests AND k.requests >= 20
GROUP BY k.service, r.released_at
