--- id = "sla_attainment_rate"
--- name_en = "Support SLA attainment"
--- name_es = "Cumplimiento de SLA de soporte"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["day", "week", "month", "quarter", "year"]
--- no_value = "no answer was due in this period"
--- owner = "support"
--- description_en = "Tickets that were first answered in time, of those whose first answer was due in the period. Unanswered is late."
--- description_es = "Tickets con primera respuesta a tiempo, entre los que la debían en el periodo. Sin respuesta es tarde."
--- depends_on = ["tickets_known", "periods"]
--- source = "kpis.csv: sla_attainment_rate"
SELECT p.period_start,
       COUNT(CASE WHEN t.first_reply_at <= t.first_reply_due_at THEN 1 END) AS numerator,
       COUNT(*) AS denominator
FROM periods p
JOIN tickets_known t ON t.first_reply_due_at >= p.starts_at AND t.first_reply_due_at < p.measured_at
GROUP BY p.period_start
