--- id = "compliance_findings"
--- name_en = "Compliance findings"
--- name_es = "Hallazgos de cumplimiento"
--- unit = "rows"
--- reading = "count"
--- evidence = ["finding_type", "framework", "severity"]
--- description_en = "Findings that are open (1), and those that were closed in the last 7 days (0): also what was closed before anybody heard of it is told."
--- description_es = "Hallazgos abiertos (1) y los cerrados en los últimos 7 días (0): también se avisa de lo que se cerró antes de saberse."
--- depends_on = ["compliance_findings_known", "moments"]
--- source = "kpis.csv: compliance_violations"
SELECT f.source || '/' || f.record_key AS entity, f.title AS label, f.opened_at AS since_at,
       CASE WHEN f.closed_at <= m.now_at THEN 0 ELSE 1 END AS numerator, 1 AS denominator, f.finding_type, f.framework, f.severity
FROM compliance_findings_known f CROSS JOIN moments m
WHERE f.opened_at <= m.now_at AND (f.closed_at IS NULL OR f.closed_at > after_minutes(m.now_at, -10080))
