--- id = "line_values"
--- unit = "rows"
--- description_en = "Invoice lines in the reporting currency at the rate of their issue, with the days they are for."
--- description_es = "Líneas de factura en la moneda de reporte a la tasa de su emisión, con los días a que corresponden."
--- depends_on = ["invoice_lines_known", "invoice_rates", "policy"]
--- source = "metric-rules B4: revenue recognition"
-- What is taken back of a line (credit note, void, bad debt) is split when it is issued: the share of the days already served is
-- contra revenue, the rest is earned no more over the days that are left.
WITH converted AS (
  SELECT l.customer_id, l.invoice_id, l.line_id, l.product, l.plan, CASE WHEN l.subscription_id IS NULL THEN 0 ELSE 1 END AS is_subscription, l.line_type, l.issued_at, CAST(l.issued_at AS DATE) AS issued_on,
         COALESCE(l.service_from_on, CAST(l.issued_at AS DATE)) AS from_on, COALESCE(l.service_to_on, l.service_from_on, CAST(l.issued_at AS DATE)) AS to_on,
         muldiv(muldiv(l.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || l.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(CAST(l.issued_at AS DATE) AS VARCHAR)), r.denominator) AS value_micros
  FROM invoice_lines_known l
  CROSS JOIN policy
  LEFT JOIN invoice_rates r ON r.issued_on = CAST(l.issued_at AS DATE) AND r.currency = l.currency
), dated AS (
  SELECT c.*, GREATEST(LEAST(c.issued_on, c.to_on), c.from_on) AS served_on FROM converted c
), split AS (
  SELECT d.*,
         CASE WHEN d.to_on > d.from_on THEN muldiv(d.value_micros, CAST(d.served_on - d.from_on AS BIGINT), CAST(d.to_on - d.from_on AS BIGINT))
              ELSE d.value_micros END AS served_micros
  FROM dated d
)
SELECT customer_id, invoice_id, line_id, product, plan, is_subscription, 'charge' AS line_type, issued_at, from_on, to_on, value_micros
FROM split
WHERE line_type = 'charge'
UNION ALL
SELECT customer_id, invoice_id, line_id, product, plan, is_subscription, line_type, issued_at, issued_on AS from_on, issued_on AS to_on, served_micros AS value_micros
FROM split
WHERE line_type <> 'charge' AND served_micros <> 0
UNION ALL
SELECT customer_id, invoice_id, line_id, product, plan, is_subscription, 'charge' AS line_type, issued_at, served_on AS from_on, to_on, value_micros - served_micros AS value_micros
FROM split
WHERE line_type <> 'charge' AND value_micros <> served_micros
