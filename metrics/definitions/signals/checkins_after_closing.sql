--- id = "checkins_after_closing"
--- name_en = "Check-ins after closing that are due"
--- name_es = "Seguimientos tras el cierre pendientes"
--- unit = "rows"
--- reading = "seconds"
--- description_en = "Customers won 30, 60 or 90 days ago (and up to 30 days more) with whom no check-in was held, and for how long it has been due."
--- description_es = "Clientes ganados hace 30, 60 o 90 días (y hasta 30 más) con los que no hubo seguimiento, y desde cuándo está pendiente."
--- depends_on = ["success_interventions_known", "opportunities_known", "identity_links_known", "moments"]
--- source = "kpis.csv: customer_checkin_day; alerts.csv: checkin_due"
WITH began AS (
  SELECT COALESCE(o.customer_id, l.customer_id) AS customer_id, MIN(o.closed_at) AS began_at
  FROM opportunities_known o
  LEFT JOIN (SELECT identity_id, MIN(customer_id) AS customer_id FROM identity_links_known WHERE identity_type = 'hubspot_company' GROUP BY identity_id) l
    ON l.identity_id = o.company_id
  WHERE o.status = 'won' AND o.closed_at IS NOT NULL AND COALESCE(o.customer_id, l.customer_id) IS NOT NULL
  GROUP BY COALESCE(o.customer_id, l.customer_id)
), due AS (
  SELECT customer_id, 30 AS day_number, after_minutes(began_at, 43200) AS due_at FROM began
  UNION ALL
  SELECT customer_id, 60 AS day_number, after_minutes(began_at, 86400) AS due_at FROM began
  UNION ALL
  SELECT customer_id, 90 AS day_number, after_minutes(began_at, 129600) AS due_at FROM began
), held AS (
  SELECT customer_id, held_at FROM success_interventions_known WHERE intervention_type = 'closing_checkin' AND held_at IS NOT NULL
)
SELECT d.customer_id || '/day ' || CAST(d.day_number AS VARCHAR) AS entity, d.customer_id AS label, d.due_at AS since_at,
       micros_between(d.due_at, MAX(m.now_at)) AS numerator, 1000000 AS denominator
FROM due d
CROSS JOIN moments m
-- A check-in counts for a day from a week before it on.
LEFT JOIN held h ON h.customer_id = d.customer_id AND h.held_at <= m.now_at AND h.held_at >= after_minutes(d.due_at, -10080)
WHERE d.due_at <= m.now_at AND d.due_at > after_minutes(m.now_at, -43200)
GROUP BY d.customer_id, d.day_number, d.due_at
HAVING COUNT(h.held_at) = 0
