--- id = "deployment_frequency"
--- name_en = "Deployments"
--- name_es = "Despliegues"
--- unit = "count"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- owner = "product"
--- description_en = "Deployments to production that succeeded in the period."
--- description_es = "Despliegues a producción que terminaron bien en el periodo."
--- depends_on = ["deployments_known", "periods"]
--- source = "kpis.csv: deployment_frequency"
SELECT p.period_start, COUNT(*) AS value
FROM periods p
JOIN deployments_known d ON d.started_at >= p.starts_at AND d.started_at < p.measured_at
WHERE d.status = 'passed' AND d.environment = 'production'
GROUP BY p.period_start
