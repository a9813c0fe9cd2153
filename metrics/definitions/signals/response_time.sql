--- id = "response_time"
--- name_en = "Response time, 95th percentile"
--- name_es = "Tiempo de respuesta, percentil 95"
--- unit = "rows"
--- reading = "seconds"
--- horizon_minutes = 10
--- description_en = "The time within which 95 of 100 requests of a service were answered (nearest rank) over the last 5 minutes. Fewer than 20 requests say nothing."
--- description_es = "El tiempo en que se respondieron 95 de cada 100 peticiones de un servicio (rango más cercano) en los últimos 5 minutos. Menos de 20 peticiones no dicen nada."
--- depends_on = ["http_requests_known", "moments"]
--- source = "kpis.csv: response_time"
WITH ranked AS (
  SELECT h.service, h.duration_us,
         ROW_NUMBER() OVER (PARTITION BY h.service ORDER BY h.duration_us, h.arrival_seq) AS place,
         COUNT(*) OVER (PARTITION BY h.service) AS requests
  FROM http_requests_known h CROSS JOIN moments m
  WHERE h.duration_us IS NOT NULL AND h.service NOT LIKE 'external:%' AND h.requested_at > after_minutes(m.now_at, -5) AND h.requested_at <= m.now_at
)
SELECT service AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, MIN(duration_us) AS numerator, 1000000 AS denominator
FROM ranked
WHERE 100 * place >= 95 * requests AND requests >= 20
GROUP BY service
