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
  SELECT h.source, h.host, h.metric_name, h.labels, CASE WHEN h.metric_name = 'ram_percent' THEN LEAST(h.value_e6, 100000000) ELSE h.value_e6 END AS value_e6,
         CASE WHEN h.metric_name = 'node_memory_MemAvailable_bytes' THEN 'available'
              WHEN h.metric_name IN ('node_memory_MemTotal_bytes', 'system.memory.limit') THEN 'limit'
              WHEN h.metric_name = 'ram_percent' THEN 'percent'
              WHEN h.labels LIKE '%state":"used"%' OR h.labels LIKE '%state": "used"%' THEN 'used'
              WHEN h.labels LIKE '%state":"free"%' OR h.labels LIKE '%state": "free"%' OR h.labels LIKE '%state":"cached"%' OR h.labels LIKE '%state": "cached"%'
                OR h.labels LIKE '%state":"buffered"%' OR h.labels LIKE '%state": "buffered"%' OR h.labels LIKE '%state":"buffers"%' OR h.labels LIKE '%state": "buffers"%'
                OR h.labels LIKE '%state":"inactive"%' OR h.labels LIKE '%state": "inactive"%' THEN 'given_back'
              -- slab_reclaimable and slab_unreclaimable are parts of cached and of used; what nobody knows says nothing.
              ELSE 'nothing' END AS part
  FROM host_metrics_known h CROSS JOIN moments m
  WHERE h.metric_name IN ('node_memory_MemAvailable_bytes', 'node_memory_MemTotal_bytes', 'system.memory.usage', 'system.memory.limit', 'ram_percent')
    AND h.host IS NOT NULL AND h.value_e6 >= 0
    AND h.sampled_at > after_minutes(m.now_at, -5) AND h.sampled_at <= m.now_at
), means AS (
  -- Bytes in thousands of millionths, so that sums of terabytes fit.
  SELECT source, host, part, labels, muldiv(money_sum(muldiv(value_e6, 1, 1000000000)), 1, COUNT(*)) AS mean
  FROM samples
  WHERE part NOT IN ('percent', 'nothing')
  GROUP BY source, host, part, labels
), totals AS (
  SELECT source, host, MAX(CASE WHEN part = 'available' THEN mean END) AS available, MAX(CASE WHEN part = 'limit' THEN mean END) AS limit_, MAX(CASE WHEN part = 'used' THEN mean END) AS used,
         money_sum(CASE WHEN part = 'given_back' THEN mean END) AS given_back
  FROM means
  GROUP BY source, host
), known AS (
  SELECT source, host, COALESCE(limit_ - available, used) AS numerator, COALESCE(limit_, used + given_back) AS denominator FROM totals
), hosts AS (
  SELECT source, host, numerator, denominator
  FROM known
  WHERE numerator IS NOT NULL AND denominator > 0
  UNION ALL
  SELECT source, host, money_sum(value_e6) AS numerator, COUNT(*) * 100000000 AS denominator
  FROM samples
  WHERE part = 'percent'
  GROUP BY source, host
), told AS (
  SELECT host, numerator, denominator, ROW_NUMBER() OVER (PARTITION BY host ORDER BY denominator DESC, numerator DESC, source) AS place
  FROM hosts
)
SELECT host AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, numerator, denominator
FROM told
WHERE place = 1
