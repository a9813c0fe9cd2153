--- id = "model_bands"
--- name_en = "Bands that models put customers in"
--- name_es = "Franjas en que los modelos ponen a los clientes"
--- unit = "rows"
--- reading = "count"
--- evidence = ["model", "subject_type", "subject_id", "band", "previous_band", "reason"]
--- description_en = "Everything that a model puts in a band, by its newest score."
--- description_es = "Todo lo que un modelo pone en una franja, según su última puntuación."
--- depends_on = ["model_scores_known", "customers_known", "moments"]
--- source = "alerts.csv: churn_risk_prediction, fraud_anomaly, predictive_support_issue, upsell_candidate, health_outreach_trigger"
WITH newest AS (
  SELECT s.model, s.subject_type, s.subject_id, s.band, s.previous_band, s.reason, s.scored_at,
         ROW_NUMBER() OVER (PARTITION BY s.model, s.subject_type, s.subject_id ORDER BY s.scored_at DESC, s.arrival_seq DESC) AS place
  FROM model_scores_known s CROSS JOIN moments m
  WHERE s.scored_at <= m.now_at
), names AS (
  SELECT customer_id, MIN(name) AS name FROM customers_known GROUP BY customer_id
)
SELECT s.model || '/' || s.subject_type || '/' || s.subject_id AS entity, n.name AS label, s.scored_at AS since_at, 1 AS numerator, 1 AS denominator,
       s.model, s.subject_type, s.subject_id, s.band, s.previous_band, s.reason
FROM newest s
LEFT JOIN names n ON s.subject_type = 'customer' AND n.customer_id = s.subject_id
WHERE s.place = 1 AND s.band IS NOT NULL
