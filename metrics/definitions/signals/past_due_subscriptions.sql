--- id = "past_due_subscriptions"
--- name_en = "Subscriptions with a failed payment"
--- name_es = "Suscripciones con pago fallido"
--- unit = "rows"
--- reading = "count"
--- evidence = ["customer_id", "plan", "status"]
--- description_en = "Subscriptions of which an item is past_due or unpaid in its newest state."
--- description_es = "Suscripciones con una línea past_due o unpaid en su último estado."
--- depends_on = ["subscriptions_known", "customers_known", "moments"]
--- source = "alerts.csv: payment_failed_dunning"
WITH items AS (
  SELECT s.source, s.subscription_id, s.customer_id, s.status, s.plan, s.past_due_at, s.valid_from, s.arrival_seq,
         ROW_NUMBER() OVER (PARTITION BY s.source, s.item_id ORDER BY s.valid_from DESC, s.record_version DESC, s.arrival_seq DESC, s.record_key DESC) AS place
  FROM subscriptions_known s CROSS JOIN moments m
  WHERE s.valid_from <= m.now_at
), late AS (
  SELECT i.*, ROW_NUMBER() OVER (PARTITION BY i.source, i.subscription_id ORDER BY COALESCE(i.past_due_at, i.valid_from), i.arrival_seq) AS first_item
  FROM items i
  WHERE i.place = 1 AND i.status IN ('past_due', 'unpaid')
), names AS (
  SELECT customer_id, MIN(name) AS name FROM customers_known GROUP BY customer_id
)
SELECT l.source || '/' || l.subscription_id AS entity, c.name AS label, COALESCE(l.past_due_at, l.valid_from) AS since_at, 1 AS numerator, 1 AS denominator,
       l.customer_id, l.plan, l.status
FROM late l
LEFT JOIN names c ON c.customer_id = l.customer_id
WHERE l.first_item = 1
