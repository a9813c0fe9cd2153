--- id = "model_scores_now"
--- name_en = "What models say of customers"
--- name_es = "Lo que los modelos dicen de los clientes"
--- unit = "rows"
--- reading = "score"
--- evidence = ["model", "subject_type", "subject_id", "band", "previous_band", "reason"]
--- description_en = "The newest score of every model for everything it judges, with its band and the one before."
--- description_es = "La última puntuación de cada modelo para todo lo que juzga, con su franja y la anterior."
--- depends_on = ["model_scores_known", "customers_known", "moments"]
--- source = "alerts.csv: at_risk_customer, churn_risk_prediction, fraud_anomaly, predictive_support_issue, upsell_candidate"
WITH newest AS (
  SELECT s.model, s.subject_type, s.subject_id, s.score, s.band, s.previous_band, s.reason, s.scored_at,
         ROW_NUMBER() OVER (PARTITION BY s.model, s.subject_type, s.subject_id ORDER BY s.scored_at DESC, s.arrival_seq DESC) AS place
  FROM model_scores_known s CROSS JOIN moments m
  WHERE s.scored_at <= m.now_at
), names AS (
  SELECT customer_id, MIN(name) AS name FROM customers_known GROUP BY customer_id
)
SELECT s.model || '/' || s.subject_type || '/' || s.subject_id AS entity, n.name AS label, s.scored_at AS since_at,
       COALESCE(s.score, 0) AS numerator, CASE WHEN s.score IS NULL THEN 0 ELSE 1 END AS denominator,
       s.model, s.subject_type, s.subject_id, s.band, s.previous_band, s.reason
FROM newest s
LEFT JOIN names n ON s.subject_type = 'customer' AND n.customer_id = s.subject_id
WHERE s.place = 1
