--- id = "ram_utilization"
--- name_en = "Memory utilisation, 5 minutes"
--- name_es = "Uso de memoria, 5 minutos"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 10
--- description_en = "Share of a host's memory that is not available to programs, over its samples of the last 5 minutes. Caches that can be given back are available."
--- description_es = "Parte de la memoria de un equipo que no está disponible para programas, en las muestras de los últimos 5 minutos. Las cachés que se pueden devolver están disponibles."
--- depends_on = ["host_metrics_known", "moments"]
--- source = "kpis.csv: ram_utilization; alerts-and-dashboards F.2: MemAvailable, not free"
WITH samples AS (
  SELECT h.source, h.host, h.metric_name, h.labels, h.value_e6
  FROM host_metrics_known h CROSS JOIN moments m
  WHERE h.metric_name IN ('node_memory_MemAvailable_bytes', 'node_memory_MemTotal_bytes', 'system.memory.usage', 'ram_percent')
    AND h.host IS NOT NULL AND h.value_e6 IS NOT NULL
    AND h.sampled_at > after_minutes(m.now_at, -5) AND h.sampled_at <= m.now_at
), means AS (
  -- Bytes in thousands of millionths, so that sums of terabytes fit.
  SELECT source, host, metric_name, labels, muldiv(money_sum(muldiv(value_e6, 1, 1000000000)), 1, COUNT(*)) AS mean
  FROM samples
  WHERE metric_name <> 'ram_percent'
  GROUP BY source, host, metric_name, labels
), totals AS (
  SELECT source, host,
         money_sum(CASE WHEN metric_name = 'node_memory_MemAvailable_bytes' THEN mean
                        WHEN labels LIKE '%"state":"free"%' OR labels LIKE '%"state":"cached"%' OR labels LIKE '%"state":"buffered"%'
                          OR labels LIKE '%"state":"slab_reclaimable"%' THEN mean
                        ELSE 0 END) AS available,
         money_sum(CASE WHEN metric_name <> 'node_memory_MemAvailable_bytes' THEN mean ELSE 0 END) AS total,
         COUNT(CASE WHEN metric_name = 'node_memory_MemAvailable_bytes' OR metric_name = 'system.memory.usage' THEN 1 END) AS parts
  FROM means
  GROUP BY source, host
), hosts AS (
  SELECT source, host, total - available AS numerator, total AS denominator
  FROM totals
  WHERE total > 0 AND parts > 0
  UNION ALL
  SELECT source, host, money_sum(value_e6) AS numerator, COUNT(*) * 100000000 AS denominator
  FROM samples
  WHERE metric_name = 'ram_percent'
  GROUP BY source, host
), told AS (
  SELECT host, numerator, denominator, ROW_NUMBER() OVER (PARTITION BY host ORDER BY denominator DESC, numerator DESC, source) AS place
  FROM hosts
)
SELECT host AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, numerator, denominator
FROM told
WHERE place = 1
