--- id = "releases_rolled_back"
--- name_en = "Releases rolled back"
--- name_es = "Versiones revertidas"
--- unit = "rows"
--- reading = "count"
--- evidence = ["project", "environment", "revision"]
--- description_en = "Releases to production that were rolled back in the last 7 days; those of the last 24 hours are 1."
--- description_es = "Versiones en producción revertidas en los últimos 7 días; las de las últimas 24 horas valen 1."
--- depends_on = ["releases_known", "moments"]
--- source = "kpis.csv: rollback_rate; alerts.csv: rollback_triggered"
SELECT r.source || '/' || r.record_key AS entity, r.name AS label, r.rolled_back_at AS since_at, CASE WHEN r.rolled_back_at > after_minutes(m.now_at, -1440) THEN 1 ELSE 0 END AS numerator, 1 AS denominator,
       r.project, r.environment, r.revision
FROM releases_known r CROSS JOIN moments m
WHERE r.environment = 'production' AND r.rolled_back_at > after_minutes(m.now_at, -10080) AND r.rolled_back_at <= m.now_at
