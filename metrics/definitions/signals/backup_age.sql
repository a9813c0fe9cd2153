--- id = "backup_age"
--- name_en = "Age of the last verified backup"
--- name_es = "Antigüedad del último respaldo verificado"
--- unit = "rows"
--- reading = "seconds"
--- description_en = "Time since the last verified full backup of each system; since its first record where none was ever verified."
--- description_es = "Tiempo desde el último respaldo completo verificado de cada sistema; desde su primer registro si nunca hubo uno."
--- depends_on = ["backups_known", "moments"]
--- source = "kpis.csv: backup_age"
SELECT b.system AS entity, CAST(NULL AS VARCHAR) AS label, MAX(CASE WHEN b.backup_type = 'full' AND b.status = 'verified' THEN b.finished_at END) AS since_at,
       micros_between(COALESCE(MAX(CASE WHEN b.backup_type = 'full' AND b.status = 'verified' THEN b.finished_at END), MIN(b.finished_at)), MAX(m.now_at)) AS numerator, 1000000 AS denominator
FROM backups_known b CROSS JOIN moments m
WHERE b.backup_type IN ('full', 'incremental') AND b.finished_at <= m.now_at
GROUP BY b.system
