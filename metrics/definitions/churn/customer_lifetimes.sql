--- id = "customer_lifetimes"
--- unit = "rows"
--- description_en = "The first lifetime of every customer: from the first MRR above nothing until there was none any more, or until now where it lasts."
--- description_es = "La primera vida de cada cliente: desde el primer MRR hasta que dejó de haberlo, o hasta ahora si continúa."
--- depends_on = ["customer_steps", "customer_attributes", "boundaries", "policy"]
--- source = "metric-rules B4: LTV model; subscriptions are contractual"
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
)
SELECT l.customer_id, a.country, a.market, a.channel, l.began_at, l.ended_at,
       CAST(CAST(COALESCE(l.ended_at, present.now_at) AS DATE) - CAST(l.began_at AS DATE) AS BIGINT) AS lifetime_days,
       CASE WHEN l.ended_at IS NULL THEN 0 ELSE 1 END AS has_ended
FROM lives l
CROSS JOIN present
LEFT JOIN customer_attributes a ON a.customer_id = l.customer_id
