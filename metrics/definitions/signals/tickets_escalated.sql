--- id = "tickets_escalated"
--- name_en = "Tickets escalated"
--- name_es = "Tickets escalados"
--- unit = "rows"
--- reading = "count"
--- evidence = ["priority", "assignee_id"]
--- description_en = "Tickets that were escalated to a higher tier in the last 7 days."
--- description_es = "Tickets escalados a un nivel superior en los últimos 7 días."
--- depends_on = ["tickets_known", "moments"]
--- source = "alerts.csv: ticket_auto_escalation"
SELECT t.source || '/' || t.record_key || '/' || CAST(micros_between(t.created_at, t.escalated_at) AS VARCHAR) AS entity, t.subject AS label, t.escalated_at AS since_at, 1 AS numerator, 1 AS denominator,
       t.priority, t.assignee_id
FROM tickets_known t CROSS JOIN moments m
WHERE t.escalated_at > after_minutes(m.now_at, -10080) AND t.escalated_at <= m.now_at
