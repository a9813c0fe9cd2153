--- id = "checkins_after_launch"
--- name_en = "Check-ins after launch that are due"
--- name_es = "Seguimientos tras el lanzamiento pendientes"
--- unit = "rows"
--- reading = "seconds"
--- description_en = "Customers who went live 7, 30 or 60 days ago (and up to 30 days more) with whom no check-in was held, and for how long it has been due."
--- description_es = "Clientes que arrancaron hace 7, 30 o 60 días (y hasta 30 más) con los que no hubo seguimiento, y desde cuándo está pendiente."
--- depends_on = ["success_interventions_known", "onboarding_steps_known", "moments"]
--- source = "kpis.csv: customer_checkin_day; alerts.csv: checkin_post_launch_due"
WITH began AS (
  SELECT customer_id, MIN(completed_at) AS began_at FROM onboarding_steps_known
  WHERE step = 'go_live' AND completed_at IS NOT NULL
  GROUP BY customer_id
), due AS (
  SELECT customer_id, 7 AS day_number, after_minutes(began_at, 10080) AS due_at FROM began
  UNION ALL
  SELECT customer_id, 30 AS day_number, after_minutes(began_at, 43200) AS due_at FROM began
  UNION ALL
  SELECT customer_id, 60 AS day_number, after_minutes(began_at, 86400) AS due_at FROM began
), held AS (
  SELECT customer_id, held_at FROM success_interventions_known WHERE intervention_type = 'launch_checkin' AND held_at IS NOT NULL
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
