--- id = "onboarding_missed"
--- name_en = "Onboarding steps missed"
--- name_es = "Pasos de incorporación incumplidos"
--- unit = "rows"
--- reading = "seconds"
--- evidence = ["step"]
--- description_en = "Steps that were due and are not done, and for how long; those that fell due in the last 90 days."
--- description_es = "Pasos vencidos sin completar y desde cuándo; los que vencieron en los últimos 90 días."
--- depends_on = ["onboarding_steps_known", "moments"]
--- source = "alerts.csv: onboarding_intervention"
SELECT o.source || '/' || o.record_key AS entity, o.customer_id AS label, o.due_at AS since_at,
       micros_between(o.due_at, m.now_at) AS numerator, 1000000 AS denominator, o.step
FROM onboarding_steps_known o CROSS JOIN moments m
WHERE o.due_at <= m.now_at AND o.due_at > after_minutes(m.now_at, -129600) AND (o.completed_at IS NULL OR o.completed_at > m.now_at)
