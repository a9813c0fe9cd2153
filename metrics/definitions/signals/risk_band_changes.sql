--- id = "risk_band_changes"
--- name_en = "Customers whose risk band changed"
--- name_es = "Clientes que cambiaron de franja de riesgo"
--- unit = "rows"
--- reading = "count"
--- evidence = ["previous_band", "band"]
--- description_en = "Customers whose health model reported another band than before in the last 7 days."
--- description_es = "Clientes cuyo modelo de salud informó otra franja que antes en los últimos 7 días."
--- depends_on = ["model_scores_known", "moments"]
--- source = "alerts.csv: success_alert_system"
WITH newest AS (
  SELECT s.subject_id, s.band, s.previous_band, s.scored_at,
         ROW_NUMBER() OVER (PARTITION BY s.subject_id ORDER BY s.scored_at DESC, s.arrival_seq DESC) AS place
  FROM model_scores_known s CROSS JOIN moments m
  WHERE s.model = 'health' AND s.subject_type = 'customer' AND s.scored_at <= m.now_at AND s.scored_at > after_minutes(m.now_at, -10080)
)
SELECT subject_id || '/' || band AS entity, CAST(NULL AS VARCHAR) AS label, scored_at AS since_at, 1 AS numerator, 1 AS denominator, previous_band, band
FROM newest
WHERE place = 1 AND band IS NOT NULL AND previous_band IS NOT NULL AND band <> previous_band
