--- id = "renewals_due"
--- name_en = "Yearly subscriptions that renew soon"
--- name_es = "Suscripciones anuales que se renuevan pronto"
--- unit = "rows"
--- reading = "count"
--- evidence = ["customer_id", "plan", "days_left"]
--- description_en = "Active subscriptions billed by the year whose anniversary comes within 30 days."
--- description_es = "Suscripciones activas con facturación anual cuyo aniversario llega en 30 días."
--- depends_on = ["subscriptions_known", "customers_known", "moments"]
--- source = "alerts.csv: renewal_due"
WITH newest AS (
  SELECT s.subscription_id, s.customer_id, s.status, s.plan, s.billing_interval, s.cancel_at, s.interval_count,
         MIN(s.valid_from) OVER (PARTITION BY s.subscription_id) AS began_at,
         ROW_NUMBER() OVER (PARTITION BY s.subscription_id ORDER BY s.valid_from DESC, s.arrival_seq DESC) AS place
  FROM subscriptions_known s CROSS JOIN moments m
  WHERE s.valid_from <= m.now_at
), anniversaries AS (
  -- Days until the anniversary: this month, or the next one. A day that a month does not have is its last.
  SELECT n.subscription_id, n.customer_id, n.plan, n.began_at, n.interval_count,
         month_index(CAST(n.began_at AS DATE)) AS began_month,
         CASE WHEN (month_index(m.today_on) - month_index(CAST(n.began_at AS DATE))) % (12 * n.interval_count) = 0 AND month_index(m.today_on) > month_index(CAST(n.began_at AS DATE))
                THEN LEAST(month_day(CAST(n.began_at AS DATE)), month_days(m.today_on)) - month_day(m.today_on)
              WHEN (month_index(m.today_on) + 1 - month_index(CAST(n.began_at AS DATE))) % (12 * n.interval_count) = 0
                THEN month_day(CAST(n.began_at AS DATE)) + month_days(m.today_on) - month_day(m.today_on)
         END AS days_left
  FROM newest n CROSS JOIN moments m
  WHERE n.place = 1 AND n.status = 'active' AND n.billing_interval = 'year' AND n.cancel_at IS NULL
), names AS (
  SELECT customer_id, MIN(name) AS name FROM customers_known GROUP BY customer_id
)
SELECT a.subscription_id AS entity, c.name AS label, a.began_at AS since_at, 1 AS numerator, 1 AS denominator, a.customer_id, a.plan, a.days_left
FROM anniversaries a
LEFT JOIN names c ON c.customer_id = a.customer_id
WHERE a.days_left >= 0 AND a.days_left <= 30
