--- id = "mrr_at"
--- unit = "rows"
--- description_en = "MRR of every customer at every boundary that is asked for, in its own currency and in the reporting currency at the rate of the day before the boundary."
--- description_es = "MRR de cada cliente en cada límite pedido, en su moneda y en la moneda de reporte a la tasa del día anterior al límite."
--- depends_on = ["subscription_item_mrr", "boundaries", "reporting_rates", "policy"]
--- source = "metric-rules B1 (currency: period_end) and B2"
WITH standing AS (
  SELECT b.boundary_at, b.rate_on, i.customer_id, i.currency, i.product, i.plan, i.country, i.market, i.channel,
         money_sum(i.mrr_micros) AS native_micros
  FROM boundaries b
  JOIN subscription_item_mrr i ON i.starts_at < b.boundary_at AND (i.ends_at IS NULL OR i.ends_at >= b.boundary_at)
  WHERE i.mrr_micros > 0
  GROUP BY b.boundary_at, b.rate_on, i.customer_id, i.currency, i.product, i.plan, i.country, i.market, i.channel
)
SELECT s.boundary_at, s.customer_id, s.currency, s.product, s.plan, s.country, s.market, s.channel, s.native_micros,
       muldiv(s.native_micros, require(r.numerator, 'no exchange rate from ' || s.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(s.rate_on AS VARCHAR)), r.denominator) AS value_micros
FROM standing s
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = s.rate_on AND r.currency = s.currency
