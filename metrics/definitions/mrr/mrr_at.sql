--- id = "mrr_at"
--- unit = "rows"
--- description_en = "MRR of every customer at every boundary that is asked for: as the books say where the month is closed, as the records are known elsewhere."
--- description_es = "MRR de cada cliente en cada límite pedido: según las cuentas si el mes está cerrado, según los registros conocidos si no."
--- depends_on = ["mrr_known_at", "month_closes_known", "closed_boundaries", "boundaries", "policy"]
--- source = "metric-rules B2, restatement: closing freezes"
SELECT k.boundary_at, k.customer_id, k.currency, k.product, k.plan, k.country, k.market, k.channel, k.native_micros, k.value_micros
FROM mrr_known_at k
LEFT JOIN closed_boundaries c ON c.boundary_at = k.boundary_at
WHERE c.boundary_at IS NULL
UNION ALL
-- Every close has a row of customer *, so that a month without customers is closed too.
SELECT b.boundary_at, f.customer_id, f.currency, f.product, f.plan, f.country, f.market, f.channel, f.native_micros, f.value_micros
FROM boundaries b
JOIN month_closes_known f ON f.boundary_at = b.boundary_at
CROSS JOIN policy
WHERE f.boundary = 'closing' AND policy.books = 1 AND f.reporting_currency = policy.reporting_currency AND f.customer_id <> '*'
