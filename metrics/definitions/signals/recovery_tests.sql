--- id = "recovery_tests"
--- name_en = "Recovery tests since last quarter began"
--- name_es = "Pruebas de recuperación desde el trimestre anterior"
--- unit = "rows"
--- reading = "count"
--- description_en = "Recovery tests that passed since the last whole quarter began, in a company that records backups."
--- description_es = "Pruebas de recuperación superadas desde que empezó el último trimestre completo, en una empresa que registra respaldos."
--- depends_on = ["backups_known", "moments"]
--- source = "kpis.csv: disaster_recovery_tests; alerts.csv: dr_test_overdue"
SELECT 'all' AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at,
       COUNT(CASE WHEN b.backup_type = 'recovery_test' AND b.status = 'verified' AND b.finished_at >= m.last_quarter_starts_at THEN 1 END) AS numerator,
       1 AS denominator
FROM backups_known b CROSS JOIN moments m
WHERE b.finished_at <= m.now_at
HAVING COUNT(*) > 0
