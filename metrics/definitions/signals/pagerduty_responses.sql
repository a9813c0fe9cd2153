--- id = "pagerduty_responses"
--- name_en = "What PagerDuty said"
--- name_es = "Lo que dijo PagerDuty"
--- unit = "rows"
--- reading = "count"
--- evidence = ["payload"]
--- keeps = "event_type IN ('incident.acknowledged', 'incident.unacknowledged')"
--- horizon_minutes = 10085
--- description_en = "Acknowledgements and their withdrawals that PagerDuty told in the last 7 days."
--- description_es = "Confirmaciones y sus retiradas que PagerDuty comunicó en los últimos 7 días."
--- depends_on = ["vendor_events_known", "moments"]
--- source = "alerts-and-dashboards B.2: PagerDuty v3 webhooks"
SELECT v.source || '/' || v.record_key AS entity, v.event_type AS label, v.happened_at AS since_at, 1 AS numerator, 1 AS denominator, v.payload
FROM vendor_events_known v CROSS JOIN moments m
WHERE v.event_type IN ('incident.acknowledged', 'incident.unacknowledged') AND v.happened_at > after_minutes(m.now_at, -10080)
