--- id = "nps_30d"
--- name_en = "Net promoter score, 30 days"
--- name_es = "NPS, 30 días"
--- unit = "rows"
--- reading = "score"
--- description_en = "Answers of 9 and 10 less answers of 0 to 6, per hundred answers of the last 30 days; of several answers of one person the newest."
--- description_es = "Respuestas de 9 y 10 menos las de 0 a 6, por cada cien respuestas de los últimos 30 días; de varias de una persona, la última."
--- depends_on = ["survey_responses_known", "moments"]
--- source = "kpis.csv: nps; alerts.csv: high_nps"
WITH answers AS (
  SELECT s.score, ROW_NUMBER() OVER (PARTITION BY COALESCE(s.customer_id, s.source || '/' || s.record_key) ORDER BY s.answered_at DESC, s.arrival_seq DESC) AS place
  FROM survey_responses_known s CROSS JOIN moments m
  WHERE s.survey = 'nps' AND s.score <= 10 AND s.answered_at > after_minutes(m.now_at, -43200) AND s.answered_at <= m.now_at
)
SELECT 'all' AS entity, CAST(NULL AS VARCHAR) AS label, CAST(NULL AS TIMESTAMPTZ) AS since_at,
       100 * (COUNT(CASE WHEN score >= 9 THEN 1 END) - COUNT(CASE WHEN score <= 6 THEN 1 END)) AS numerator, COUNT(*) AS denominator
FROM answers
WHERE place = 1
HAVING COUNT(*) > 0
