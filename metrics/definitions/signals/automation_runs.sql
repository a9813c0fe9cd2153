--- id = "automation_runs"
--- name_en = "What automation did"
--- name_es = "Lo que hizo la automatización"
--- unit = "rows"
--- reading = "count"
--- evidence = ["automation", "status", "subject_id", "value_before", "value_after", "reason"]
--- description_en = "Actions that automation took or failed to take in the last 7 days; those of the last 24 hours are 1."
--- description_es = "Acciones que la automatización hizo o no logró hacer en los últimos 7 días; las de las últimas 24 horas valen 1."
--- depends_on = ["automations_known", "moments"]
--- source = "alerts.csv: automatic_scaling_done, dynamic_price_change, budget_reallocation_done, lead_auto_routing, ticket_routed, rollback_triggered"
SELECT a.source || '/' || a.record_key || '/' || a.status AS entity, COALESCE(a.action, a.automation) AS label, a.started_at AS since_at, CASE WHEN a.started_at > after_minutes(m.now_at, -1440) THEN 1 ELSE 0 END AS numerator, 1 AS denominator,
       a.automation, a.status, a.subject_id, a.value_before, a.value_after, a.reason
FROM automations_known a CROSS JOIN moments m
WHERE a.started_at > after_minutes(m.now_at, -10080) AND a.started_at <= m.now_at
