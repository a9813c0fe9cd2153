--- id = "tickets_without_reply"
--- name_en = "Tickets without a reply"
--- name_es = "Tickets sin respuesta"
--- unit = "rows"
--- reading = "seconds"
--- evidence = ["priority", "assignee_id"]
--- description_en = "Tickets nobody has answered, and how long they have waited. Solved and closed ones no longer wait, nor do those on hold."
--- description_es = "Tickets que nadie ha respondido y cuánto llevan esperando. Los resueltos y cerrados ya no esperan, ni los que están en pausa."
--- depends_on = ["tickets_known", "moments"]
--- source = "alerts.csv: ticket_sla_critical, ticket_sla_high, ticket_sla_normal, ticket_first_reply_sla"
SELECT t.source || '/' || t.record_key AS entity, t.subject AS label, t.created_at AS since_at,
       micros_between(t.created_at, m.now_at) AS numerator, 1000000 AS denominator, t.priority, t.assignee_id
FROM tickets_known t CROSS JOIN moments m
WHERE t.first_reply_at IS NULL AND t.status IN ('new', 'open', 'pending') AND t.created_at <= m.now_at
