--- id = "subscription_states"
--- unit = "rows"
--- description_en = "Each state of each subscription item: from when to when it holds, whether it counts under the policy, its price before discounts, and why it ended."
--- description_es = "Cada estado de cada elemento de suscripción: desde cuándo y hasta cuándo rige, si cuenta según la política, su precio antes de descuentos y por qué terminó."
--- depends_on = ["subscriptions_known", "price_tier_ranges", "policy"]
--- source = "metric-rules B1"
-- A volume price is that of the tier the quantity falls into; a graduated price adds up what falls into each.
WITH tiered AS (
  SELECT s.source, s.record_key,
         money_sum(CASE WHEN s.tier_mode = 'graduated' THEN muldiv(LEAST(s.quantity, COALESCE(t.last_unit, s.quantity)) - t.first_unit + 1, t.unit_price_minor, 1) + t.flat_minor
                        ELSE muldiv(s.quantity, t.unit_price_minor, 1) + t.flat_minor END) AS amount_minor
  FROM subscriptions_known s
  JOIN price_tier_ranges t ON t.price_id = s.price_id AND t.currency = s.currency AND t.first_unit <= s.quantity
  WHERE s.tier_mode = 'graduated' OR (s.tier_mode = 'volume' AND (t.last_unit IS NULL OR t.last_unit >= s.quantity))
  GROUP BY s.source, s.record_key
), followed AS (
  SELECT s.source, s.record_key, s.recorded_at, s.customer_id, s.subscription_id, s.item_id, s.product, s.plan, s.currency, s.status, s.quantity,
         s.valid_from, s.trial_ends_at, s.cancel_at, s.cancel_reason, s.first_paid_at, s.past_due_at, s.tier_mode, s.price_id, s.unit_price_minor,
         s.billing_interval, s.interval_count,
         COALESCE(s.charge_type, 'licensed') AS charge_type, COALESCE(s.collection, 'charge') AS collection,
         s.discount_ppm, s.discount_minor,
         COALESCE(s.repeating_discount_ppm, 0) AS repeating_ppm, COALESCE(s.repeating_discount_minor, 0) AS repeating_minor, s.repeating_discount_ends_at AS repeating_ends_at,
         COALESCE(s.once_discount_ppm, 0) AS once_ppm, COALESCE(s.once_discount_minor, 0) AS once_minor, s.once_discount_ends_at AS once_ends_at,
         COALESCE(s.included_tax_ppm, 0) AS tax_ppm,
         LEAD(s.valid_from) OVER (PARTITION BY s.source, s.item_id ORDER BY s.valid_from, s.record_version, s.arrival_seq, s.record_key) AS next_at,
         LEAD(s.status) OVER (PARTITION BY s.source, s.item_id ORDER BY s.valid_from, s.record_version, s.arrival_seq, s.record_key) AS next_status,
         LEAD(s.cancel_reason) OVER (PARTITION BY s.source, s.item_id ORDER BY s.valid_from, s.record_version, s.arrival_seq, s.record_key) AS next_reason,
         LEAD(s.collection) OVER (PARTITION BY s.source, s.item_id ORDER BY s.valid_from, s.record_version, s.arrival_seq, s.record_key) AS next_collection
  FROM subscriptions_known s
), dated AS (
  SELECT f.*,
         GREATEST(f.valid_from, f.trial_ends_at, CASE WHEN policy.start_counts_at_payment = 1 THEN f.first_paid_at END) AS starts_at,
         CASE WHEN f.status = 'past_due' THEN after_minutes(COALESCE(f.past_due_at, f.valid_from), policy.past_due_minutes) END AS dropped_at,
         CASE WHEN f.charge_type <> 'licensed' THEN 0
              WHEN f.collection = 'paused' AND policy.collection_paused_counts = 0 THEN 0
              WHEN f.cancel_at IS NOT NULL AND policy.cancel_counts_at_request = 1 THEN 0
              WHEN f.status = 'active' THEN 1
              WHEN f.status = 'past_due' THEN policy.past_due_counts
              WHEN f.status = 'paused' THEN policy.paused_counts
              ELSE 0 END AS counts,
         CASE f.billing_interval WHEN 'week' THEN policy.week_numerator WHEN 'day' THEN policy.day_numerator ELSE 1 END AS interval_numerator,
         CASE f.billing_interval WHEN 'month' THEN f.interval_count
                                 WHEN 'week' THEN muldiv(f.interval_count, policy.week_denominator, 1)
                                 WHEN 'day' THEN muldiv(f.interval_count, policy.day_denominator, 1)
                                 ELSE muldiv(f.interval_count, 12, 1) END AS interval_denominator
  FROM followed f CROSS JOIN policy
)
SELECT d.source, d.record_key, d.recorded_at, d.customer_id, d.subscription_id, d.item_id, d.product, d.plan, d.currency, d.status, d.quantity, d.cancel_at,
       d.starts_at, LEAST(d.cancel_at, d.dropped_at, d.next_at) AS ends_at, d.counts,
       CASE WHEN d.dropped_at <= LEAST(d.cancel_at, d.dropped_at, d.next_at) THEN 'delinquent'
            WHEN d.cancel_at <= LEAST(d.cancel_at, d.dropped_at, d.next_at) AND d.cancel_reason IS NOT NULL THEN d.cancel_reason
            WHEN d.cancel_at <= LEAST(d.cancel_at, d.dropped_at, d.next_at) AND d.status <> 'past_due' THEN 'voluntary'
            WHEN d.next_reason IS NOT NULL THEN d.next_reason
            WHEN d.next_status = 'paused' OR d.next_collection = 'paused' THEN 'pause'
            WHEN d.next_status IN ('unpaid', 'past_due') OR d.status = 'past_due' THEN 'delinquent'
            ELSE 'voluntary' END AS ended_by,
       CASE WHEN d.tier_mode IS NULL THEN muldiv(d.unit_price_minor, d.quantity, 1)
            WHEN d.quantity <= 0 THEN 0
            ELSE require(t.amount_minor, 'price ' || COALESCE(d.price_id, '(none)') || ' has no tier in ' || d.currency || ' for quantity ' || CAST(d.quantity AS VARCHAR)) END AS list_minor,
       d.discount_ppm, d.discount_minor, d.repeating_ppm, d.repeating_minor, d.repeating_ends_at, d.once_ppm, d.once_minor, d.once_ends_at, d.tax_ppm,
       d.interval_numerator, d.interval_denominator
FROM dated d
LEFT JOIN tiered t ON t.source = d.source AND t.record_key = d.record_key
