--- id = "line_recognition"
--- unit = "rows"
--- description_en = "What of every invoice line is earned by the start and by the end of every period, day by day, and what it has invoiced by then."
--- description_es = "Cuánto de cada línea está ganado al inicio y al final de cada periodo, día a día, y cuánto se ha facturado hasta entonces."
--- depends_on = ["line_values", "periods"]
--- source = "metric-rules B4: ratable over the service period; last day cut; catch-up when billed late"
-- Earned is a share of the whole line each time, rounded once: periods add up to the line without a remainder. A line issued
-- after some of its days were served catches up in the period of its issue. Of an open period the days that are over count.
WITH spans AS (
  SELECT p.period_start, v.customer_id, v.product, v.plan, v.line_type, v.value_micros, v.to_on > v.from_on AS is_ratable,
         CAST(v.to_on - v.from_on AS BIGINT) AS service_days,
         CAST(LEAST(GREATEST(CAST(p.period_start - v.from_on AS BIGINT), 0), CAST(v.to_on - v.from_on AS BIGINT)) AS BIGINT) AS start_days,
         CAST(LEAST(GREATEST(CAST(p.served_until_on - v.from_on AS BIGINT), 0), CAST(v.to_on - v.from_on AS BIGINT)) AS BIGINT) AS end_days,
         CASE WHEN v.issued_at < p.starts_at THEN 1 ELSE 0 END AS issued_before_start
  FROM line_values v
  JOIN periods p ON v.issued_at < p.measured_at
)
SELECT period_start, customer_id, product, plan, line_type,
       CASE WHEN issued_before_start = 1 THEN value_micros ELSE 0 END AS invoiced_at_start_micros,
       value_micros AS invoiced_at_end_micros,
       CASE WHEN issued_before_start = 0 THEN 0 WHEN is_ratable THEN muldiv(value_micros, start_days, service_days) ELSE value_micros END AS earned_at_start_micros,
       CASE WHEN is_ratable THEN muldiv(value_micros, end_days, service_days) ELSE value_micros END AS earned_at_end_micros
FROM spans
