--- id = "consecutive_failures"
--- name_en = "Failures in a row of outside services"
--- name_es = "Fallos seguidos de servicios externos"
--- unit = "rows"
--- reading = "count"
--- keeps = "service LIKE 'external:%'"
--- horizon_minutes = 10085
--- description_en = "How many of the newest requests to an outside service (its name begins with external:) failed one after another; services asked in the last 7 days. A refused key (401, 403) and too many requests (429) are failures."
--- description_es = "Cuántas de las últimas peticiones a un servicio externo (su nombre empieza por external:) fallaron seguidas; servicios consultados en los últimos 7 días. Una clave rechazada (401, 403) y demasiadas peticiones (429) son fallos."
--- depends_on = ["http_requests_known", "moments"]
--- source = "alerts.csv: external_api_failure"
WITH requests AS (
  SELECT h.service, h.requested_at, CASE WHEN h.status >= 500 OR h.status IN (0, 401, 403, 408, 429) OR (h.error IS NOT NULL AND h.error NOT IN ('false', 'False', 'FALSE', '0', 'no', '-')) THEN 1 ELSE 0 END AS is_failure,
         ROW_NUMBER() OVER (PARTITION BY h.service ORDER BY h.requested_at DESC, h.arrival_seq DESC) AS place
  FROM http_requests_known h CROSS JOIN moments m
  WHERE h.service LIKE 'external:%' AND h.requested_at > after_minutes(m.now_at, -10080) AND h.requested_at <= m.now_at
), good AS (
  SELECT service, MIN(CASE WHEN is_failure = 0 THEN place END) AS first_good, COUNT(*) AS requests
  FROM requests
  GROUP BY service
)
SELECT g.service AS entity, CAST(NULL AS VARCHAR) AS label, MIN(r.requested_at) AS since_at, COALESCE(MAX(g.first_good), MAX(g.requests) + 1) - 1 AS numerator, 1 AS denominator
FROM good g
LEFT JOIN requests r ON r.service = g.service AND r.place < COALESCE(g.first_good, g.requests + 1)
GROUP BY g.service
