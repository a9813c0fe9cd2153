--- id = "security_updates"
--- name_en = "Security updates since last month began"
--- name_es = "Actualizaciones de seguridad desde el mes anterior"
--- unit = "rows"
--- reading = "count"
--- description_en = "Security updates deployed since the last whole month began, in a company that records deployments."
--- description_es = "Actualizaciones de seguridad desplegadas desde que empezó el último mes completo, en una empresa que registra despliegues."
--- depends_on = ["deployments_known", "moments"]
--- source = "kpis.csv: security_update_interval; alerts.csv: security_update_overdue"
SELECT 'all' AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at,
       COUNT(CASE WHEN d.deployment_type = 'security_update' AND d.environment = 'production' AND d.status = 'passed' AND d.started_at >= m.last_month_starts_at THEN 1 END) AS numerator,
       1 AS denominator
FROM deployments_known d CROSS JOIN moments m
WHERE d.started_at <= m.now_at
HAVING COUNT(*) > 0
