--- id = "onboarding_milestones"
--- name_en = "Onboarding milestones of the last week"
--- name_es = "Hitos de incorporación de la última semana"
--- unit = "rows"
--- reading = "count"
--- evidence = ["step", "outcome"]
--- description_en = "Steps that were completed in the last 7 days, and those that fell due in them without being done."
--- description_es = "Pasos completados en los últimos 7 días y los que vencieron en ellos sin completarse."
--- depends_on = ["onboarding_steps_known", "moments"]
--- source = "alerts.csv: onboarding_milestone_checkin"
SELECT o.source || '/' || o.record_key || CASE WHEN o.completed_at IS NULL OR o.completed_at > m.now_at THEN '/missed' ELSE '/reached' END AS entity, o.customer_id AS label,
       CASE WHEN o.completed_at IS NULL OR o.completed_at > m.now_at THEN o.due_at ELSE o.completed_at END AS since_at, 1 AS numerator, 1 AS denominator,
       o.step, CASE WHEN o.completed_at IS NULL OR o.completed_at > m.now_at THEN 'missed' ELSE 'reached' END AS outcome
FROM onboarding_steps_known o CROSS JOIN moments m
WHERE (o.completed_at > after_minutes(m.now_at, -10080) AND o.completed_at <= m.now_at)
   OR ((o.completed_at IS NULL OR o.completed_at > m.now_at) AND o.due_at > after_minutes(m.now_at, -10080) AND o.due_at <= m.now_at)
