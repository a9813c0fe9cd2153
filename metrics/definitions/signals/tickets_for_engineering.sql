--- id = "tickets_for_engineering"
--- name_en = "Tickets that need engineering"
--- name_es = "Tickets que requieren ingeniería"
--- unit = "rows"
--- reading = "count"
--- evidence = ["priority", "assignee_id"]
--- description_en = "Unsolved tickets tagged needs_engineering."
--- description_es = "Tickets sin resolver con la etiqueta needs_engineering."
--- depends_on = ["tickets_known", "moments"]
--- source = "alerts.csv: ticket_engineering_escalation"
SELECT t.source || '/' || t.record_key AS entity, t.subject AS label, t.created_at AS since_at, 1 AS numerator, 1 AS denominator,
       t.priority, t.assignee_id
FROM tickets_known t CROSS JOIN moments m
WHERE ',' || t.tags || ',' LIKE '%,needs_engineering,%' AND t.status IN ('new', 'open', 'pending', 'hold') AND t.created_at <= m.now_at
