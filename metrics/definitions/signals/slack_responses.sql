--- id = "slack_responses"
--- name_en = "Buttons pressed in Slack"
--- name_es = "Botones pulsados en Slack"
--- unit = "rows"
--- reading = "count"
--- evidence = ["payload"]
--- keeps = "event_type = 'block_actions'"
--- horizon_minutes = 10085
--- description_en = "Buttons of alerts that somebody pressed in Slack in the last 7 days."
--- description_es = "Botones de alertas que alguien pulsó en Slack en los últimos 7 días."
--- depends_on = ["vendor_events_known", "moments"]
--- source = "alerts-and-dashboards B.3: interactivity"
SELECT v.source || '/' || v.record_key AS entity, v.event_type AS label, v.happened_at AS since_at, 1 AS numerator, 1 AS denominator, v.payload
FROM vendor_events_known v CROSS JOIN moments m
WHERE v.event_type = 'block_actions' AND v.happened_at > after_minutes(m.now_at, -10080)
