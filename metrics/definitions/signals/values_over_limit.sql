--- id = "values_over_limit"
--- name_en = "Reported values beyond their limit"
--- name_es = "Valores informados fuera de su límite"
--- unit = "rows"
--- reading = "percent"
--- description_en = "For every reported value V that has an owner-set limit (a reported value named limit:V): the newest value as a share of the newest limit."
--- description_es = "Para cada valor informado V con un límite de su dueño (un valor informado llamado limit:V): el último valor como parte del último límite."
--- depends_on = ["reported_values_known", "moments"]
--- source = "alerts.csv: metric_threshold_alert"
WITH newest AS (
  SELECT v.value_name, v.part, COALESCE(v.number_e12, v.amount_minor) AS amount, CASE WHEN v.number_e12 IS NULL THEN v.currency ELSE '' END AS unit,
         ROW_NUMBER() OVER (PARTITION BY v.value_name, v.part ORDER BY v.reported_on DESC, v.arrival_seq DESC) AS place
  FROM reported_values_known v CROSS JOIN moments m
  WHERE (v.number_e12 IS NOT NULL OR v.amount_minor IS NOT NULL) AND v.reported_on <= m.today_on
)
SELECT v.value_name || '/' || v.part AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, v.amount AS numerator,
       CASE WHEN l.unit = v.unit THEN l.amount ELSE 0 END AS denominator
FROM newest v
JOIN newest l ON l.value_name = 'limit:' || v.value_name AND l.part = v.part AND l.place = 1
WHERE v.place = 1
