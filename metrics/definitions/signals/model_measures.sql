--- id = "model_measures"
--- name_en = "Measures of models"
--- name_es = "Medidas de modelos"
--- unit = "rows"
--- reading = "percent"
--- evidence = ["measure", "model_version"]
--- description_en = "The newest evaluation of every measure (accuracy, feature_drift) of a model in production, not older than 8 days."
--- description_es = "La última evaluación de cada medida (accuracy, feature_drift) de un modelo en producción, de hasta 8 días."
--- depends_on = ["model_evaluations_known", "moments"]
--- source = "kpis.csv: model_accuracy, feature_drift"
WITH newest AS (
  SELECT e.model, e.measure, e.model_version, e.good, e.total, e.evaluated_at,
         ROW_NUMBER() OVER (PARTITION BY e.model, e.measure ORDER BY e.evaluated_at DESC, e.arrival_seq DESC) AS place
  FROM model_evaluations_known e CROSS JOIN moments m
  WHERE e.stage = 'production' AND e.evaluated_at <= m.now_at AND e.evaluated_at > after_minutes(m.now_at, -11520)
)
SELECT model || '/' || measure AS entity, model AS label, evaluated_at AS since_at, good AS numerator, total AS denominator, measure, model_version
FROM newest
WHERE place = 1
