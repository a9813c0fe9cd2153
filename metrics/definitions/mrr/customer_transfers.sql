--- id = "customer_transfers"
--- unit = "rows"
--- description_en = "What a customer had when one of its attributes changed, by product and plan, with the attributes before and after: what moves from one segment to another. Amounts are at the rates of the period's end."
--- description_es = "Lo que tenía un cliente cuando cambió uno de sus atributos, por producto y plan, con los atributos de antes y de después: lo que pasa de un segmento a otro. Los importes van a las tasas del final del periodo."
--- depends_on = ["customer_attributes", "customer_steps", "periods", "reporting_rates", "policy"]
--- source = "metric-rules B2: segments, and D7"
-- Whoever changes at the moment of a movement has changed before it.
WITH moved AS (
  SELECT p.period_start, a.customer_id, a.from_at AS moved_at, a.former_country, a.former_market, a.former_channel, a.country, a.market, a.channel,
         CASE policy.fx_mode WHEN 'constant' THEN policy.fx_constant_on ELSE p.end_rate_on END AS rate_on
  FROM customer_attributes a
  JOIN periods p ON a.from_at >= p.starts_at AND a.from_at < p.measured_at
  CROSS JOIN policy
), had AS (
  SELECT m.*, s.currency, s.product, s.plan, s.native_after_micros, s.own_after_micros, s.unrated_so_far,
         ROW_NUMBER() OVER (PARTITION BY m.customer_id, m.moved_at, s.currency, s.product, s.plan ORDER BY s.changed_at DESC) AS standing
  FROM moved m
  JOIN customer_steps s ON s.customer_id = m.customer_id AND s.changed_at < m.moved_at
)
SELECT h.period_start, h.customer_id, h.moved_at, h.product, h.plan, h.former_country, h.former_market, h.former_channel, h.country, h.market, h.channel,
       CASE WHEN policy.fx_mode = 'service_start' THEN h.own_after_micros + require(CASE WHEN h.unrated_so_far = 0 THEN 0 END, 'no exchange rate from ' || h.currency || ' to ' || policy.reporting_currency || ' for the start of an item of customer ' || h.customer_id)
            ELSE muldiv(h.native_after_micros, require(r.numerator, 'no exchange rate from ' || h.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(h.rate_on AS VARCHAR)), r.denominator) END AS value_micros
FROM had h
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = h.rate_on AND r.currency = h.currency
WHERE h.standing = 1 AND h.native_after_micros <> 0
