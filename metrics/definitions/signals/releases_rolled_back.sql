--- id = "releases_rolled_back"
--- name_en = "Releases rolled back"
--- name_es = "Versiones revertidas"
--- unit = "rows"
--- reading = "count"
--- evidence = ["project", "environment", "revision"]
--- description_en = "Releases that were rolled back in the last 24 hours."
--- description_es = "Versiones revertidas en las últimas 24 horas."
--- depends_on = ["releases_known", "moments"]
--- source = "kpis.csv: rollback_rate; alerts.csv: rollback_triggered"
SELECT r.source || '/' || r.record_key AS entity, r.name AS label, r.rolled_back_at AS since_at, 1 AS numerator, 1 AS denominator,
       r.project, r.environment, r.revision
FROM releases_known r CROSS JOIN moments m
WHERE r.rolled_back_at > after_minutes(m.now_at, -1440) AND r.rolled_back_at <= m.now_at
