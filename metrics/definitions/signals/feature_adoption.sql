--- id = "feature_adoption"
--- name_en = "Features used by account, 30 days"
--- name_es = "Funciones usadas por cuenta, 30 días"
--- unit = "rows"
--- reading = "percent"
--- horizon_minutes = 129605
--- description_en = "Kinds of tracked events that an account caused in the last 30 days, of all that any account caused; accounts seen in the last 90 days."
--- description_es = "Tipos de eventos que una cuenta causó en los últimos 30 días, de todos los que causó alguna cuenta; cuentas vistas en los últimos 90 días."
--- depends_on = ["product_events_known", "moments"]
--- source = "kpis.csv: feature_adoption_rate; alerts.csv: low_feature_adoption"
WITH used AS (
  SELECT DISTINCT e.group_id, CASE WHEN e.happened_at > after_minutes(m.now_at, -43200) THEN e.event_name END AS event_name
  FROM product_events_known e CROSS JOIN moments m
  WHERE e.event_type = 'track' AND e.group_id IS NOT NULL AND e.event_name IS NOT NULL
    AND e.happened_at > after_minutes(m.now_at, -129600) AND e.happened_at <= m.now_at
), there AS (
  SELECT COUNT(DISTINCT event_name) AS features FROM used
)
SELECT u.group_id AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at, COUNT(u.event_name) AS numerator, MAX(t.features) AS denominator
FROM used u CROSS JOIN there t
GROUP BY u.group_id
