--- id = "customer_steps"
--- unit = "rows"
--- description_en = "Every moment at which a customer's MRR changes, by currency, product and plan: MRR before and after it, and how many items the customer had before and after."
--- description_es = "Cada momento en que cambia el MRR de un cliente, por moneda, producto y plan: el MRR antes y después, y cuántos elementos tenía antes y después."
--- depends_on = ["subscription_item_mrr", "service_rates", "policy"]
--- source = "metric-rules B2, event-level"
-- A step whose own rate is not known yet lies in the future, or else is an error to whoever asks for it.
-- An item is counted whatever its MRR, so that a customer at zero by discount can stay one where the policy says so.
WITH edges AS (
  SELECT i.customer_id, i.currency, i.product, i.plan, i.starts_at AS changed_at, i.service_on, i.mrr_micros AS native_micros, 1 AS items, CAST(NULL AS VARCHAR) AS ended_by
  FROM subscription_item_mrr i
  WHERE i.is_active = 1
  UNION ALL
  SELECT i.customer_id, i.currency, i.product, i.plan, i.ends_at, i.service_on, -i.mrr_micros, -1, i.ended_by
  FROM subscription_item_mrr i
  WHERE i.is_active = 1 AND i.ends_at IS NOT NULL
), valued AS (
  SELECT e.customer_id, e.currency, e.product, e.plan, e.changed_at, e.native_micros, e.items, e.ended_by,
         CASE WHEN policy.fx_mode = 'service_start' AND sr.numerator IS NOT NULL THEN muldiv(e.native_micros, sr.numerator, sr.denominator) ELSE 0 END AS own_micros,
         CASE WHEN policy.fx_mode = 'service_start' AND sr.numerator IS NULL THEN 1 ELSE 0 END AS unrated
  FROM edges e
  CROSS JOIN policy
  LEFT JOIN service_rates sr ON sr.service_on = e.service_on AND sr.currency = e.currency
), moments AS (
  SELECT customer_id, changed_at, money_sum(items) AS items, MIN(ended_by) AS ended_by
  FROM valued
  GROUP BY customer_id, changed_at
), counted AS (
  SELECT customer_id, changed_at, ended_by,
         CAST(money_sum(items) OVER (PARTITION BY customer_id ORDER BY changed_at) AS BIGINT) AS items_after,
         CAST(money_sum(items) OVER (PARTITION BY customer_id ORDER BY changed_at) AS BIGINT) - items AS items_before,
         LAG(changed_at) OVER (PARTITION BY customer_id ORDER BY changed_at) AS previous_at
  FROM moments
), parts AS (
  SELECT customer_id, currency, product, plan, changed_at, money_sum(native_micros) AS native_micros, money_sum(own_micros) AS own_micros, money_sum(unrated) AS unrated
  FROM valued
  GROUP BY customer_id, currency, product, plan, changed_at
), running AS (
  SELECT customer_id, currency, product, plan, changed_at, native_micros, own_micros,
         CAST(money_sum(native_micros) OVER (PARTITION BY customer_id, currency, product, plan ORDER BY changed_at) AS BIGINT) AS native_after_micros,
         CAST(money_sum(own_micros) OVER (PARTITION BY customer_id, currency, product, plan ORDER BY changed_at) AS BIGINT) AS own_after_micros,
         CAST(money_sum(unrated) OVER (PARTITION BY customer_id, currency, product, plan ORDER BY changed_at) AS BIGINT) AS unrated_so_far
  FROM parts
)
SELECT r.customer_id, r.currency, r.product, r.plan, r.changed_at,
       r.native_after_micros - r.native_micros AS native_before_micros, r.native_after_micros,
       r.own_after_micros - r.own_micros AS own_before_micros, r.own_after_micros, r.unrated_so_far,
       c.items_before, c.items_after, c.previous_at, c.ended_by
FROM running r
JOIN counted c ON c.customer_id = r.customer_id AND c.changed_at = r.changed_at
