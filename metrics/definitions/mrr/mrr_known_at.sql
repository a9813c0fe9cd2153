--- id = "mrr_known_at"
--- unit = "rows"
--- description_en = "MRR of every customer at every boundary that is asked for, as the records are known, in its own currency and in the reporting currency at the rate that the policy takes."
--- description_es = "MRR de cada cliente en cada límite pedido, según los registros conocidos, en su moneda y en la moneda de reporte a la tasa que fija la política."
--- depends_on = ["subscription_item_mrr", "customer_attributes", "boundaries", "reporting_rates", "service_rates", "policy"]
--- source = "metric-rules B1, currency, and B2"
-- Attributes are those that the customer had at the boundary.
-- Where every item is converted by the rate of its own start, it is also rounded on its own.
WITH priced AS (
  SELECT b.boundary_at, i.customer_id, i.currency, i.product, i.plan, i.mrr_micros,
         CASE WHEN policy.fx_mode = 'service_start' THEN i.source || '|' || i.record_key END AS own_record, CASE WHEN policy.fx_mode = 'service_start' THEN i.starts_at END AS own_start_at,
         CASE policy.fx_mode WHEN 'period_end' THEN b.rate_on WHEN 'constant' THEN policy.fx_constant_on ELSE i.service_on END AS rate_on
  FROM boundaries b
  JOIN subscription_item_mrr i ON i.starts_at < b.boundary_at AND (i.ends_at IS NULL OR i.ends_at >= b.boundary_at)
  CROSS JOIN policy
  WHERE i.is_active = 1
), standing AS (
  SELECT boundary_at, rate_on, customer_id, currency, product, plan, money_sum(mrr_micros) AS native_micros
  FROM priced
  GROUP BY boundary_at, rate_on, own_record, own_start_at, customer_id, currency, product, plan
)
SELECT s.boundary_at, s.customer_id, s.currency, s.product, s.plan, a.country, a.market, a.channel, s.native_micros,
       muldiv(s.native_micros,
              require(CASE WHEN policy.fx_mode = 'service_start' THEN sr.numerator ELSE r.numerator END, 'no exchange rate from ' || s.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(s.rate_on AS VARCHAR)),
              CASE WHEN policy.fx_mode = 'service_start' THEN sr.denominator ELSE r.denominator END) AS value_micros
FROM standing s
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = s.rate_on AND r.currency = s.currency
LEFT JOIN customer_attributes a ON a.customer_id = s.customer_id AND (a.from_at IS NULL OR a.from_at < s.boundary_at) AND (a.to_at IS NULL OR a.to_at >= s.boundary_at)
LEFT JOIN service_rates sr ON sr.service_on = s.rate_on AND sr.currency = s.currency
