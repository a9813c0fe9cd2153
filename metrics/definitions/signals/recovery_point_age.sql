--- id = "recovery_point_age"
--- name_en = "Time since the last recoverable point"
--- name_es = "Tiempo desde el último punto recuperable"
--- unit = "rows"
--- reading = "seconds"
--- description_en = "What would be lost if a system failed now: the time since the newest instant it can be brought back to. Systems of which recovery points are recorded."
--- description_es = "Lo que se perdería si un sistema fallara ahora: el tiempo desde el último instante al que se puede volver. Sistemas con puntos de recuperación registrados."
--- depends_on = ["backups_known", "moments"]
--- source = "kpis.csv: recovery_point_objective; alerts.csv: rpo_exceeded"
WITH points AS (
  SELECT b.system, b.backup_type, LEAST(COALESCE(b.recoverable_to_at, b.finished_at), b.finished_at) AS point_at
  FROM backups_known b CROSS JOIN moments m
  WHERE b.status = 'verified' AND b.finished_at <= m.now_at AND b.backup_type IN ('full', 'incremental', 'recovery_point')
), systems AS (
  SELECT system, MAX(point_at) AS point_at, COUNT(CASE WHEN backup_type = 'recovery_point' THEN 1 END) AS recovery_points
  FROM points
  GROUP BY system
)
SELECT s.system AS entity, CAST(NULL AS VARCHAR) AS label, s.point_at AS since_at, micros_between(s.point_at, m.now_at) AS numerator, 1000000 AS denominator
FROM systems s CROSS JOIN moments m
WHERE s.recovery_points > 0
