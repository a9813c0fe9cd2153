--- id = "unmatched_payments"
--- name_en = "Payments without an invoice"
--- name_es = "Pagos sin factura"
--- unit = "rows"
--- reading = "count"
--- evidence = ["customer_id", "amount_minor", "currency"]
--- description_en = "Payments of the last 90 days that name an invoice nobody knows, a day after they came."
--- description_es = "Pagos de los últimos 90 días que nombran una factura que nadie conoce, un día después de llegar."
--- depends_on = ["payments_known", "invoice_lines_known", "moments"]
--- source = "alerts.csv: reconciliation_mismatch"
WITH invoices AS (
  SELECT DISTINCT invoice_id FROM invoice_lines_known
)
SELECT p.source || '/' || p.record_key AS entity, p.invoice_id AS label, p.paid_at AS since_at, 1 AS numerator, 1 AS denominator,
       p.customer_id, p.amount_minor, p.currency
FROM payments_known p
CROSS JOIN moments m
LEFT JOIN invoices i ON i.invoice_id = p.invoice_id
WHERE i.invoice_id IS NULL AND p.invoice_id IS NOT NULL
  AND p.landed_at <= after_minutes(m.now_at, -1440) AND p.paid_at > after_minutes(m.now_at, -129600)
