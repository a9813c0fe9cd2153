--- id = "renewals_due"
--- name_en = "Subscriptions of a year and more that renew soon"
--- name_es = "Suscripciones de un año o más que se renuevan pronto"
--- unit = "rows"
--- reading = "count"
--- evidence = ["customer_id", "plan", "days_left"]
--- description_en = "Active subscriptions with a term of twelve months or more that ends within 30 days, counted from the beginning of the present terms."
--- description_es = "Suscripciones activas con un plazo de doce meses o más que termina en 30 días, contado desde el inicio de las condiciones actuales."
--- depends_on = ["subscriptions_known", "customers_known", "moments"]
--- source = "alerts.csv: renewal_due"
WITH states AS (
  SELECT s.source, s.item_id, s.subscription_id, s.customer_id, s.plan, s.status, s.cancel_at, s.valid_from,
         CASE WHEN s.status NOT IN ('active', 'past_due', 'unpaid') THEN 0 WHEN s.billing_interval = 'year' THEN 12 * s.interval_count
              WHEN s.billing_interval = 'month' THEN s.interval_count ELSE 0 END AS months,
         ROW_NUMBER() OVER (PARTITION BY s.source, s.item_id ORDER BY s.valid_from DESC, s.record_version DESC, s.arrival_seq DESC, s.record_key DESC) AS place
  FROM subscriptions_known s CROSS JOIN moments m
  WHERE s.valid_from <= m.now_at
), present AS (
  SELECT source, item_id, subscription_id, customer_id, plan, months FROM states
  WHERE place = 1 AND status = 'active' AND months >= 12 AND cancel_at IS NULL
), broken AS (
  SELECT p.source, p.item_id, MIN(s.place) AS place
  FROM present p JOIN states s ON s.source = p.source AND s.item_id = p.item_id AND s.months <> p.months
  GROUP BY p.source, p.item_id
), terms AS (
  SELECT p.source, p.subscription_id, p.customer_id, p.plan, p.months, MIN(s.valid_from) AS began_at
  FROM present p
  JOIN states s ON s.source = p.source AND s.item_id = p.item_id
  LEFT JOIN broken b ON b.source = p.source AND b.item_id = p.item_id
  WHERE b.place IS NULL OR s.place < b.place
  GROUP BY p.source, p.item_id, p.subscription_id, p.customer_id, p.plan, p.months
), ages AS (
  SELECT t.source, t.subscription_id, t.customer_id, t.plan, t.months, t.began_at, month_index(m.today_on) - month_index(CAST(t.began_at AS DATE)) AS past,
         month_day(CAST(t.began_at AS DATE)) AS began_day, month_day(m.today_on) AS today_day, month_days(m.today_on) AS days
  FROM terms t CROSS JOIN moments m
), anniversaries AS (
  SELECT a.source, a.subscription_id, a.customer_id, a.plan, a.began_at,
         CASE WHEN a.past > 0 AND a.past % a.months = 0 THEN LEAST(a.began_day, a.days) - a.today_day
              WHEN (a.past + 1) % a.months = 0 THEN a.began_day + a.days - a.today_day END AS days_left
  FROM ages a
), soonest AS (
  SELECT a.source, a.subscription_id, a.customer_id, a.plan, a.began_at, a.days_left,
         ROW_NUMBER() OVER (PARTITION BY a.source, a.subscription_id ORDER BY a.days_left, a.began_at, a.plan) AS place
  FROM anniversaries a
  WHERE a.days_left >= 0 AND a.days_left <= 30
), names AS (
  SELECT customer_id, MIN(name) AS name FROM customers_known GROUP BY customer_id
)
SELECT a.source || '/' || a.subscription_id AS entity, c.name AS label, a.began_at AS since_at, 1 AS numerator, 1 AS denominator, a.customer_id, a.plan, a.days_left
FROM soonest a
LEFT JOIN names c ON c.customer_id = a.customer_id
WHERE a.place = 1
