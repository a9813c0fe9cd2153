--- id = "line_values"
--- unit = "rows"
--- description_en = "Invoice lines in the reporting currency at the rate of their issue, with the days they are for."
--- description_es = "Líneas de factura en la moneda de reporte a la tasa de su emisión, con los días a que corresponden."
--- depends_on = ["invoice_lines_known", "invoice_rates", "policy"]
--- source = "metric-rules B4: revenue recognition"
-- What is taken back of a line (credit note, void, bad debt) is split when it is issued: the share already served is
-- contra revenue, the rest is earned no more over what is left.
WITH converted AS (
  SELECT l.customer_id, l.invoice_id, l.line_id, l.product, l.plan, CASE WHEN l.subscription_id IS NULL THEN 0 ELSE 1 END AS is_subscription, l.line_type, l.issued_at, CAST(l.issued_at AS DATE) AS issued_on,
         COALESCE(l.service_from_on, CAST(l.issued_at AS DATE)) AS from_on, COALESCE(l.service_to_on, l.service_from_on, CAST(l.issued_at AS DATE)) AS to_on,
         muldiv(muldiv(l.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || l.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(CAST(l.issued_at AS DATE) AS VARCHAR)), r.denominator) AS value_micros
  FROM invoice_lines_known l
  CROSS JOIN policy
  LEFT JOIN invoice_rates r ON r.issued_on = CAST(l.issued_at AS DATE) AND r.currency = l.currency
), dated AS (
  SELECT c.*, GREATEST(LEAST(c.issued_on, c.to_on), c.from_on) AS served_on FROM converted c
), months AS (
  SELECT d.*, policy.recognises_by_month,
         month_index(d.to_on) - month_index(d.from_on) + CASE WHEN month_day(d.to_on) > 1 THEN 1 ELSE 0 END AS service_months,
         month_index(d.served_on) - month_index(d.from_on) AS served_months,
         CASE WHEN month_index(d.served_on) = month_index(d.from_on) THEN month_day(d.from_on) ELSE 1 END AS month_from,
         CASE WHEN month_index(d.served_on) = month_index(d.to_on) THEN month_day(d.to_on) ELSE month_days(d.served_on) + 1 END AS month_to
  FROM dated d CROSS JOIN policy
), split AS (
  SELECT m.*,
         CASE WHEN m.to_on <= m.from_on THEN m.value_micros
              WHEN m.recognises_by_month = 0 THEN muldiv(m.value_micros, CAST(m.served_on - m.from_on AS BIGINT), CAST(m.to_on - m.from_on AS BIGINT))
              ELSE muldiv(m.value_micros, m.served_months * GREATEST(m.month_to - m.month_from, 1) + month_day(m.served_on) - m.month_from, m.service_months * GREATEST(m.month_to - m.month_from, 1)) END AS served_micros
  FROM months m
)
SELECT customer_id, invoice_id, line_id, product, plan, is_subscription, 'charge' AS line_type, issued_at, from_on, to_on, from_on AS earns_from_on, value_micros, 0 AS taken_micros
FROM split
WHERE line_type = 'charge'
UNION ALL
SELECT customer_id, invoice_id, line_id, product, plan, is_subscription, line_type, issued_at, issued_on AS from_on, issued_on AS to_on, issued_on AS earns_from_on, served_micros AS value_micros, 0 AS taken_micros
FROM split
WHERE line_type <> 'charge' AND served_micros <> 0
UNION ALL
-- The rest follows the schedule of what it takes back, from where that had got to.
SELECT customer_id, invoice_id, line_id, product, plan, is_subscription, 'charge' AS line_type, issued_at, from_on, to_on, served_on AS earns_from_on, value_micros, served_micros AS taken_micros
FROM split
WHERE line_type <> 'charge' AND value_micros <> served_micros
