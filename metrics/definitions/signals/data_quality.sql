--- id = "data_quality"
--- name_en = "Data quality by table"
--- name_es = "Calidad de datos por tabla"
--- unit = "rows"
--- reading = "percent"
--- description_en = "Rows that pass, of rows looked at, over the newest run of every check of a table in the last two days."
--- description_es = "Filas correctas, de las revisadas, en la última ejecución de cada comprobación de una tabla en los últimos dos días."
--- depends_on = ["data_quality_checks_known", "moments"]
--- source = "kpis.csv: data_quality_score"
WITH newest AS (
  SELECT q.table_name, q.rows_checked, q.rows_passed, q.checked_at,
         ROW_NUMBER() OVER (PARTITION BY q.table_name, q.check_name ORDER BY q.checked_at DESC, q.arrival_seq DESC) AS place
  FROM data_quality_checks_known q CROSS JOIN moments m
  WHERE q.checked_at <= m.now_at AND q.checked_at > after_minutes(m.now_at, -2880)
)
SELECT table_name AS entity, CAST(NULL AS VARCHAR) AS label, MAX(checked_at) AS since_at, money_sum(rows_passed) AS numerator, money_sum(rows_checked) AS denominator
FROM newest
WHERE place = 1
GROUP BY table_name
