--- id = "retention_bounds"
--- unit = "rows"
--- description_en = "Nobody retains gross more than it had, and net retention is never below gross. Rows are violations."
--- description_es = "Nadie retiene en bruto más de lo que tenía, y la retención neta nunca es menor que la bruta. Las filas son incumplimientos."
--- depends_on = ["gross_revenue_retention", "net_revenue_retention"]
--- source = "metric-rules B3: GRR <= 1 and GRR <= NRR"
SELECT g.period_start, 'gross retention ' || CAST(g.numerator AS VARCHAR) || ' of ' || CAST(g.denominator AS VARCHAR) || ', net ' || CAST(n.numerator AS VARCHAR) AS violation
FROM gross_revenue_retention g
JOIN net_revenue_retention n ON n.period_start = g.period_start
WHERE g.numerator > g.denominator OR g.numerator > n.numerator OR g.denominator <> n.denominator
