--- id = "subscription_item_mrr"
--- unit = "rows"
--- name_en = "MRR of subscription items"
--- name_es = "MRR por elemento de suscripción"
--- description_en = "Each stretch of each subscription item with its monthly recurring revenue in its own currency, from when to when it counts: a state, or a part of one where a discount ends within it."
--- description_es = "Cada tramo de cada elemento de suscripción con su ingreso recurrente mensual en su moneda, y desde cuándo hasta cuándo cuenta: un estado, o parte de él si un descuento termina dentro."
--- depends_on = ["subscription_states", "policy"]
--- source = "metric-rules B1"
-- Percents first, one after another as one product, then the amounts, never below zero; then tax and the interval. What three
-- percents make and what the interval makes are each rounded once, half to even, to a millionth of a minor unit.
WITH cut AS (
  SELECT s.source, s.record_key, s.recorded_at, s.customer_id, s.subscription_id, s.item_id, s.product, s.plan, s.currency, s.status, s.quantity, s.cancel_at,
         s.starts_at, s.ends_at, s.counts, s.ended_by, s.list_minor, s.discount_ppm, s.discount_minor, s.repeating_ppm, s.repeating_minor, s.repeating_ends_at,
         s.once_ppm, s.once_minor, s.once_ends_at, s.tax_ppm, s.interval_numerator, s.interval_denominator,
         CASE WHEN policy.repeating_counts = 1 AND s.repeating_ends_at > s.starts_at AND (s.ends_at IS NULL OR s.repeating_ends_at < s.ends_at) THEN s.repeating_ends_at END AS repeating_cut_at,
         CASE WHEN policy.once_counts = 1 AND s.once_ends_at > s.starts_at AND (s.ends_at IS NULL OR s.once_ends_at < s.ends_at) THEN s.once_ends_at END AS once_cut_at
  FROM subscription_states s CROSS JOIN policy
), stretches AS (
  SELECT cut.*, starts_at AS from_at, LEAST(ends_at, repeating_cut_at, once_cut_at) AS to_at FROM cut
  UNION ALL
  SELECT cut.*, LEAST(repeating_cut_at, once_cut_at) AS from_at, LEAST(ends_at, CASE WHEN repeating_cut_at <> once_cut_at THEN GREATEST(repeating_cut_at, once_cut_at) END) AS to_at
  FROM cut
  WHERE repeating_cut_at IS NOT NULL OR once_cut_at IS NOT NULL
  UNION ALL
  SELECT cut.*, GREATEST(repeating_cut_at, once_cut_at) AS from_at, LEAST(ends_at, NULL) AS to_at
  FROM cut
  WHERE repeating_cut_at <> once_cut_at
), discounted AS (
  SELECT s.*,
         1000000 - CASE WHEN policy.forever_counts = 1 THEN s.discount_ppm ELSE 0 END AS forever_keep,
         1000000 - CASE WHEN policy.repeating_counts = 1 AND (s.repeating_ends_at IS NULL OR s.from_at < s.repeating_ends_at) THEN s.repeating_ppm ELSE 0 END AS repeating_keep,
         1000000 - CASE WHEN policy.once_counts = 1 AND (s.once_ends_at IS NULL OR s.from_at < s.once_ends_at) THEN s.once_ppm ELSE 0 END AS once_keep,
         CASE WHEN policy.forever_counts = 1 THEN s.discount_minor ELSE 0 END
           + CASE WHEN policy.repeating_counts = 1 AND (s.repeating_ends_at IS NULL OR s.from_at < s.repeating_ends_at) THEN s.repeating_minor ELSE 0 END
           + CASE WHEN policy.once_counts = 1 AND (s.once_ends_at IS NULL OR s.from_at < s.once_ends_at) THEN s.once_minor ELSE 0 END AS amount_off_minor
  FROM stretches s CROSS JOIN policy
), netted AS (
  SELECT d.*,
         GREATEST(CASE WHEN d.repeating_keep = 1000000 AND d.once_keep = 1000000 THEN muldiv(d.list_minor, d.forever_keep, 1)
                       ELSE muldiv(d.list_minor, d.forever_keep * d.repeating_keep * d.once_keep, 1000000000000) END
                  - muldiv(d.amount_off_minor, 1000000, 1), 0) AS interval_micros
  FROM discounted d
), normalised AS (
  SELECT n.*,
         CASE WHEN n.counts = 0 THEN 0
              WHEN n.tax_ppm = 0 THEN muldiv(n.interval_micros, n.interval_numerator, n.interval_denominator)
              ELSE muldiv(n.interval_micros, n.interval_numerator * 1000000, n.interval_denominator * (1000000 + n.tax_ppm)) END AS mrr_micros
  FROM netted n
)
SELECT n.source, n.record_key, n.recorded_at, n.customer_id, n.subscription_id, n.item_id, n.product, n.plan, n.currency, n.status, n.quantity, n.cancel_at,
       n.from_at AS starts_at, n.to_at AS ends_at, n.ended_by, CAST(n.starts_at AS DATE) AS service_on, n.mrr_micros,
       CASE WHEN (n.to_at IS NULL OR n.to_at > n.from_at) AND (n.mrr_micros > 0 OR (policy.active_at_zero = 1 AND n.counts = 1 AND n.list_minor > 0)) THEN 1 ELSE 0 END AS is_active
FROM normalised n
CROSS JOIN policy
