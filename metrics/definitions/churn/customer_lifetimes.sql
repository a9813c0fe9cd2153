--- id = "customer_lifetimes"
--- unit = "rows"
--- description_en = "The first lifetime of every customer: from the first MRR above nothing until there was none any more, or until now where it lasts."
--- description_es = "La primera vida de cada cliente: desde el primer MRR hasta que dejó de haberlo, o hasta ahora si continúa."
--- depends_on = ["customer_steps", "customer_attributes", "boundaries", "policy"]
--- source = "metric-rules B4: LTV model; subscriptions are contractual"
-- A life of exactly three months was renewed twice: it ended when the third month was over. One that lasts has been renewed at every
-- month that is over.
-- Who is back within the grouping window has not left. What lies ahead (a cancellation at the end of a period) has not happened.
WITH present AS (
  SELECT MAX(boundary_at) AS now_at FROM boundaries
), moments AS (
  SELECT s.customer_id, s.changed_at, MIN(s.items_before) AS items_before, MIN(s.items_after) AS items_after
  FROM customer_steps s CROSS JOIN present
  WHERE s.changed_at < present.now_at
  GROUP BY s.customer_id, s.changed_at
), followed AS (
  SELECT m.*, LEAD(m.changed_at) OVER (PARTITION BY m.customer_id ORDER BY m.changed_at) AS next_at FROM moments m
), lives AS (
  SELECT f.customer_id, MIN(f.changed_at) AS began_at,
         MIN(CASE WHEN f.items_after = 0 AND (f.next_at IS NULL OR after_minutes(f.changed_at, policy.grouping_minutes) < f.next_at) THEN f.changed_at END) AS ended_at
  FROM followed f CROSS JOIN policy
  GROUP BY f.customer_id
), dated AS (
  SELECT l.customer_id, l.began_at, l.ended_at, CAST(l.began_at AS DATE) AS from_on, CAST(COALESCE(l.ended_at, present.now_at) AS DATE) AS to_on,
         month_index(CAST(COALESCE(l.ended_at, present.now_at) AS DATE)) - month_index(CAST(l.began_at AS DATE)) AS months
  FROM lives l CROSS JOIN present
)
SELECT l.customer_id, a.country, a.market, a.channel, l.began_at, l.ended_at,
       CAST(l.to_on - l.from_on AS BIGINT) AS lifetime_days,
       CASE WHEN l.ended_at IS NULL THEN 0 ELSE 1 END AS has_ended,
       GREATEST(l.months - CASE WHEN month_day(l.to_on) < LEAST(month_day(l.from_on), month_days(l.to_on)) OR (l.ended_at IS NOT NULL AND month_day(l.to_on) = LEAST(month_day(l.from_on), month_days(l.to_on))) THEN 1 ELSE 0 END, 0) AS renewals
FROM dated l
LEFT JOIN customer_attributes a ON a.customer_id = l.customer_id AND (a.from_at IS NULL OR a.from_at <= l.began_at) AND (a.to_at IS NULL OR a.to_at > l.began_at)
