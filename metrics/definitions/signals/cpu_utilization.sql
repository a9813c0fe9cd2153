--- id = "cpu_utilization"
--- name_en = "CPU utilisation, 5 minutes"
--- name_es = "Uso de CPU, 5 minutos"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 10
--- description_en = "Busy share of a host's processor time over the last 5 minutes: what node exporter and the OpenTelemetry collector count by mode, or the mean of reported percentages."
--- description_es = "Parte ocupada del tiempo de procesador de un equipo en los últimos 5 minutos: lo que node exporter y el colector de OpenTelemetry cuentan por modo, o la media de los porcentajes informados."
--- depends_on = ["host_metrics_known", "moments"]
--- source = "kpis.csv: cpu_utilization; alerts.csv: cpu_high"
WITH samples AS (
  SELECT h.source, h.host, h.metric_name, h.metric_type, h.labels, CASE WHEN h.metric_name = 'cpu_percent' THEN LEAST(h.value_e6, 100000000) ELSE h.value_e6 END AS value_e6, h.sampled_at, h.arrival_seq,
         CASE WHEN h.labels LIKE '%mode":"idle"%' OR h.labels LIKE '%mode": "idle"%' OR h.labels LIKE '%state":"idle"%' OR h.labels LIKE '%state": "idle"%' THEN 1 ELSE 0 END AS is_idle
  FROM host_metrics_known h CROSS JOIN moments m
  WHERE h.metric_name IN ('node_cpu_seconds_total', 'system.cpu.time', 'cpu_percent')
    AND h.host IS NOT NULL AND h.value_e6 >= 0
    AND h.sampled_at > after_minutes(m.now_at, -5) AND h.sampled_at <= m.now_at
), steps AS (
  SELECT source, host, is_idle, metric_type, value_e6,
         LAG(value_e6) OVER (PARTITION BY source, host, metric_name, labels ORDER BY sampled_at, arrival_seq) AS before_e6
  FROM samples
  WHERE metric_name <> 'cpu_percent'
), gains AS (
  -- A counter that fell began again at 0; a delta is a gain already.
  SELECT source, host, is_idle, CASE WHEN metric_type = 'delta' OR value_e6 < before_e6 THEN value_e6 ELSE value_e6 - before_e6 END AS gained_e6
  FROM steps
  WHERE before_e6 IS NOT NULL OR metric_type = 'delta'
), hosts AS (
  SELECT source, host, money_sum(CASE WHEN is_idle = 0 THEN gained_e6 ELSE 0 END) AS numerator, money_sum(gained_e6) AS denominator
  FROM gains
  GROUP BY source, host
  -- Without an idle part that we know, everything would seem busy.
  HAVING money_sum(gained_e6) > 0 AND MAX(is_idle) = 1
  UNION ALL
  SELECT source, host, money_sum(value_e6) AS numerator, COUNT(*) * 100000000 AS denominator
  FROM samples
  WHERE metric_name = 'cpu_percent'
  GROUP BY source, host
), told AS (
  SELECT host, numerator, denominator, ROW_NUMBER() OVER (PARTITION BY host ORDER BY denominator DESC, numerator DESC, source) AS place
  FROM hosts
)
SELECT host AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, numerator, denominator
FROM told
WHERE place = 1
