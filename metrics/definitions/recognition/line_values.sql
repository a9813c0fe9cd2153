--- id = "line_values"
--- unit = "rows"
--- description_en = "Invoice lines in the reporting currency at the rate of their issue, with the days they are for."
--- description_es = "Líneas de factura en la moneda de reporte a la tasa de su emisión, con los días a que corresponden."
--- depends_on = ["invoice_lines_known", "invoice_rates", "policy"]
--- source = "metric-rules B4: revenue recognition"
SELECT l.customer_id, l.invoice_id, l.line_id, l.product, l.plan, l.line_type, l.issued_at,
       COALESCE(l.service_from_on, CAST(l.issued_at AS DATE)) AS from_on, COALESCE(l.service_to_on, l.service_from_on, CAST(l.issued_at AS DATE)) AS to_on,
       muldiv(muldiv(l.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || l.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(CAST(l.issued_at AS DATE) AS VARCHAR)), r.denominator) AS value_micros
FROM invoice_lines_known l
CROSS JOIN policy
LEFT JOIN invoice_rates r ON r.issued_on = CAST(l.issued_at AS DATE) AND r.currency = l.currency
