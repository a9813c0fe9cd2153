--- id = "backup_age"
--- name_en = "Age of the last verified backup"
--- name_es = "Antigüedad del último respaldo verificado"
--- unit = "rows"
--- reading = "seconds"
--- description_en = "Time since the last verified full backup of each system."
--- description_es = "Tiempo desde el último respaldo completo verificado de cada sistema."
--- depends_on = ["backups_known", "moments"]
--- source = "kpis.csv: backup_age"
SELECT b.system AS entity, CAST(NULL AS VARCHAR) AS label, MAX(b.finished_at) AS since_at, micros_between(MAX(b.finished_at), MAX(m.now_at)) AS numerator, 1000000 AS denominator
FROM backups_known b CROSS JOIN moments m
WHERE b.backup_type = 'full' AND b.status = 'verified' AND b.finished_at <= m.now_at
GROUP BY b.system
