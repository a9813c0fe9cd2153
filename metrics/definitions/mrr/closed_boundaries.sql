--- id = "closed_boundaries"
--- unit = "rows"
--- description_en = "Ends of months whose books are closed; none where a question is put under another policy than the home's own."
--- description_es = "Finales de los meses con las cuentas cerradas; ninguno si se pregunta con otra política que la propia."
--- depends_on = ["month_closes_known", "policy"]
--- source = "ARCHITECTURE: the books"
SELECT DISTINCT c.boundary_at
FROM month_closes_known c CROSS JOIN policy
WHERE c.boundary = 'closing' AND policy.books = 1 AND c.reporting_currency = policy.reporting_currency
