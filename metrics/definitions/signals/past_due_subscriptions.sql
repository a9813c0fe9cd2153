--- id = "past_due_subscriptions"
--- name_en = "Subscriptions with a failed payment"
--- name_es = "Suscripciones con pago fallido"
--- unit = "rows"
--- reading = "count"
--- evidence = ["customer_id", "plan", "status"]
--- description_en = "Subscriptions whose newest state is past_due or unpaid."
--- description_es = "Suscripciones cuyo último estado es past_due o unpaid."
--- depends_on = ["subscriptions_known", "customers_known", "moments"]
--- source = "alerts.csv: payment_failed_dunning"
WITH newest AS (
  SELECT s.subscription_id, s.customer_id, s.status, s.plan, s.past_due_at, s.valid_from,
         ROW_NUMBER() OVER (PARTITION BY s.subscription_id ORDER BY s.valid_from DESC, s.arrival_seq DESC) AS place
  FROM subscriptions_known s CROSS JOIN moments m
  WHERE s.valid_from <= m.now_at
), names AS (
  SELECT customer_id, MIN(name) AS name FROM customers_known GROUP BY customer_id
)
SELECT n.subscription_id AS entity, c.name AS label, COALESCE(n.past_due_at, n.valid_from) AS since_at, 1 AS numerator, 1 AS denominator,
       n.customer_id, n.plan, n.status
FROM newest n
LEFT JOIN names c ON c.customer_id = n.customer_id
WHERE n.place = 1 AND n.status IN ('past_due', 'unpaid')
