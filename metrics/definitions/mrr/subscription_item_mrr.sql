--- id = "subscription_item_mrr"
--- unit = "rows"
--- name_en = "MRR of subscription items"
--- name_es = "MRR por elemento de suscripción"
--- description_en = "Each state of each subscription item with its monthly recurring revenue in its own currency, from when to when it counts."
--- description_es = "Cada estado de cada elemento de suscripción con su ingreso recurrente mensual en su moneda, y desde cuándo hasta cuándo cuenta."
--- depends_on = ["subscriptions_known", "customer_attributes", "policy"]
--- source = "metric-rules B1"
-- Percent discounts first, then the amount, never below zero, then the interval: rounded once, half to even, to a
-- millionth of a minor unit.
WITH priced AS (
  SELECT s.source, s.customer_id, s.subscription_id, s.item_id, s.record_key, s.record_version, s.arrival_seq,
         s.product, s.plan, s.currency, s.status, s.valid_from, s.trial_ends_at, s.cancel_at,
         GREATEST(muldiv(muldiv(s.unit_price_minor, s.quantity, 1), 1000000 - s.discount_ppm, 1) - muldiv(s.discount_minor, 1000000, 1), 0) AS interval_micros,
         CASE s.billing_interval WHEN 'week' THEN policy.weeks_per_year WHEN 'day' THEN policy.days_per_year ELSE 1 END AS interval_numerator,
         CASE s.billing_interval WHEN 'month' THEN s.interval_count ELSE muldiv(s.interval_count, 12, 1) END AS interval_denominator,
         CASE WHEN s.status = 'active' THEN 1 WHEN s.status = 'past_due' THEN policy.past_due_counts ELSE 0 END AS counts
  FROM subscriptions_known s CROSS JOIN policy
)
SELECT p.customer_id, p.subscription_id, p.item_id, p.product, p.plan, p.currency, p.status,
       a.country, a.market, a.channel,
       GREATEST(p.valid_from, p.trial_ends_at) AS starts_at,
       LEAST(p.cancel_at, LEAD(p.valid_from) OVER (PARTITION BY p.source, p.item_id ORDER BY p.valid_from, p.record_version, p.arrival_seq, p.record_key)) AS ends_at,
       CASE WHEN p.counts = 1 THEN muldiv(p.interval_micros, p.interval_numerator, p.interval_denominator) ELSE 0 END AS mrr_micros
FROM priced p
LEFT JOIN customer_attributes a ON a.customer_id = p.customer_id
