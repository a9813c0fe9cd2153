--- id = "unmatched_payments"
--- name_en = "Payments that do not match"
--- name_es = "Pagos que no cuadran"
--- unit = "rows"
--- reading = "count"
--- evidence = ["customer_id", "amount_minor", "currency"]
--- description_en = "Payments of the last 90 days, a day after they were paid, whose invoice nobody knows, is in another currency, asks for nothing, or was paid less than its net amount."
--- description_es = "Pagos de los últimos 90 días, un día después de pagarse, cuya factura nadie conoce, está en otra moneda, no pide nada o se pagó por menos de su neto."
--- depends_on = ["payments_known", "invoice_lines_known", "moments"]
--- source = "alerts.csv: reconciliation_mismatch"
WITH invoices AS (
  SELECT invoice_id, MIN(currency) AS currency, money_sum(amount_minor) AS net_minor FROM invoice_lines_known GROUP BY invoice_id
), paid AS (
  SELECT invoice_id, money_sum(amount_minor) AS paid_minor FROM payments_known WHERE invoice_id IS NOT NULL GROUP BY invoice_id
)
SELECT p.source || '/' || p.record_key AS entity, p.invoice_id AS label, p.paid_at AS since_at, 1 AS numerator, 1 AS denominator,
       p.customer_id, p.amount_minor, p.currency
FROM payments_known p
CROSS JOIN moments m
JOIN paid s ON s.invoice_id = p.invoice_id
LEFT JOIN invoices i ON i.invoice_id = p.invoice_id
-- Lines are without tax: less than they say is too little whatever the tax, and money for nothing is too much.
WHERE (i.invoice_id IS NULL OR i.currency <> p.currency OR s.paid_minor < i.net_minor OR (i.net_minor <= 0 AND s.paid_minor > 0))
  AND p.paid_at <= after_minutes(m.now_at, -1440) AND p.paid_at > after_minutes(m.now_at, -129600)
