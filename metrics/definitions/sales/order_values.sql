--- id = "order_values"
--- unit = "rows"
--- description_en = "Every order with its period and its amount in the reporting currency at the rate of its own day."
--- description_es = "Cada pedido con su periodo y su importe en la moneda de reporte a la tasa de su día."
--- depends_on = ["orders_known", "days", "reporting_rates", "customer_attributes", "policy"]
--- within_calendar = ["orders_known"]
--- source = "metric-rules B4: revenue"
SELECT d.period_start, o.customer_id, o.product, o.order_type, a.country, a.market, a.channel, o.ordered_at,
       muldiv(muldiv(o.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || o.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(d.day_on AS VARCHAR)), r.denominator) AS value_micros
FROM orders_known o
JOIN days d ON d.utc_on = CAST(o.ordered_at AS DATE) AND o.ordered_at >= d.starts_at AND o.ordered_at < d.ends_at
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = d.day_on AND r.currency = o.currency
LEFT JOIN customer_attributes a ON a.customer_id = o.customer_id AND (a.from_at IS NULL OR a.from_at <= o.ordered_at) AND (a.to_at IS NULL OR a.to_at > o.ordered_at)
