--- id = "invoice_rates"
--- unit = "rows"
--- description_en = "Rates of the UTC days on which invoice lines were issued: what is deferred keeps them."
--- description_es = "Tasas de los días UTC en que se emitieron las líneas de factura: lo diferido las conserva."
--- depends_on = ["invoice_lines_known", "quoted_rates", "policy"]
--- source = "metric-rules B4: revenue recognition; deferred revenue stands at the rate of its invoice"
WITH needed AS (
  SELECT DISTINCT CAST(issued_at AS DATE) AS issued_on, currency FROM invoice_lines_known
)
SELECT n.issued_on, n.currency, q.numerator, q.denominator
FROM needed n
JOIN quoted_rates q ON q.currency = n.currency AND q.quoted_on <= n.issued_on AND (q.next_on IS NULL OR q.next_on > n.issued_on)
CROSS JOIN policy
WHERE n.issued_on - q.quoted_on <= policy.fx_max_age_days
UNION ALL
SELECT n.issued_on, n.currency, 1, 1
FROM needed n CROSS JOIN policy
WHERE n.currency = policy.reporting_currency
