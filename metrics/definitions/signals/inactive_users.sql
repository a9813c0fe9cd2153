--- id = "inactive_users"
--- name_en = "Users without activity"
--- name_es = "Usuarios sin actividad"
--- unit = "rows"
--- reading = "seconds"
--- horizon_minutes = 86405
--- description_en = "Time since the last event of every user who was seen in the last 60 days."
--- description_es = "Tiempo desde el último evento de cada usuario visto en los últimos 60 días."
--- depends_on = ["product_events_known", "moments"]
--- source = "alerts.csv: inactive_user"
SELECT e.user_id AS entity, CAST(NULL AS VARCHAR) AS label, MAX(e.happened_at) AS since_at, micros_between(MAX(e.happened_at), MAX(m.now_at)) AS numerator, 1000000 AS denominator
FROM product_events_known e CROSS JOIN moments m
WHERE e.user_id IS NOT NULL AND e.happened_at <= m.now_at AND e.happened_at > after_minutes(m.now_at, -86400)
GROUP BY e.user_id
