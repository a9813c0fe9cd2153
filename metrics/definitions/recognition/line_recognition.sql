--- id = "line_recognition"
--- unit = "rows"
--- description_en = "What of every invoice line is earned by the start and by the end of every period, and what it has invoiced by then."
--- description_es = "Cuánto de cada línea está ganado al inicio y al final de cada periodo, y cuánto se ha facturado hasta entonces."
--- depends_on = ["line_values", "periods", "policy"]
--- source = "metric-rules B4: ratable over the service period by day (last day cut) or by even months; catch-up when billed late"
-- Earned is a share of the whole line each time, rounded once: periods add up to the line without a remainder. A line issued
-- after some of its days were served catches up in the period of its issue. Of an open period the days that are over count.
-- By the monthly convention every calendar month that the service touches has the same share, spread over the days it is served in.
WITH dated AS (
  SELECT p.period_start, v.customer_id, v.product, v.plan, v.is_subscription, v.line_type, v.value_micros, v.taken_micros, v.from_on, v.to_on, v.to_on > v.from_on AS is_ratable,
         LEAST(GREATEST(p.period_start, v.earns_from_on), v.to_on) AS start_on, LEAST(GREATEST(p.served_until_on, v.earns_from_on), v.to_on) AS end_on,
         CASE WHEN v.issued_at < p.starts_at THEN 1 ELSE 0 END AS issued_before_start
  FROM line_values v
  JOIN periods p ON v.issued_at < p.measured_at
), months AS (
  SELECT d.*, policy.recognises_by_month,
         month_index(d.to_on) - month_index(d.from_on) + CASE WHEN month_day(d.to_on) > 1 THEN 1 ELSE 0 END AS service_months,
         month_index(d.start_on) - month_index(d.from_on) AS start_months, month_index(d.end_on) - month_index(d.from_on) AS end_months,
         CASE WHEN month_index(d.start_on) = month_index(d.from_on) THEN month_day(d.from_on) ELSE 1 END AS start_month_from,
         CASE WHEN month_index(d.start_on) = month_index(d.to_on) THEN month_day(d.to_on) ELSE month_days(d.start_on) + 1 END AS start_month_to,
         CASE WHEN month_index(d.end_on) = month_index(d.from_on) THEN month_day(d.from_on) ELSE 1 END AS end_month_from,
         CASE WHEN month_index(d.end_on) = month_index(d.to_on) THEN month_day(d.to_on) ELSE month_days(d.end_on) + 1 END AS end_month_to
  FROM dated d CROSS JOIN policy
), shares AS (
  SELECT m.*,
         CASE WHEN m.recognises_by_month = 0 THEN CAST(m.start_on - m.from_on AS BIGINT)
              ELSE m.start_months * GREATEST(m.start_month_to - m.start_month_from, 1) + month_day(m.start_on) - m.start_month_from END AS start_served,
         CASE WHEN m.recognises_by_month = 0 THEN CAST(m.to_on - m.from_on AS BIGINT) ELSE m.service_months * GREATEST(m.start_month_to - m.start_month_from, 1) END AS start_whole,
         CASE WHEN m.recognises_by_month = 0 THEN CAST(m.end_on - m.from_on AS BIGINT)
              ELSE m.end_months * GREATEST(m.end_month_to - m.end_month_from, 1) + month_day(m.end_on) - m.end_month_from END AS end_served,
         CASE WHEN m.recognises_by_month = 0 THEN CAST(m.to_on - m.from_on AS BIGINT) ELSE m.service_months * GREATEST(m.end_month_to - m.end_month_from, 1) END AS end_whole
  FROM months m
)
SELECT period_start, customer_id, product, plan, is_subscription, line_type,
       CASE WHEN issued_before_start = 1 THEN value_micros - taken_micros ELSE 0 END AS invoiced_at_start_micros,
       value_micros - taken_micros AS invoiced_at_end_micros,
       CASE WHEN issued_before_start = 0 THEN 0 WHEN is_ratable THEN muldiv(value_micros, start_served, start_whole) - taken_micros ELSE value_micros - taken_micros END AS earned_at_start_micros,
       CASE WHEN is_ratable THEN muldiv(value_micros, end_served, end_whole) - taken_micros ELSE value_micros - taken_micros END AS earned_at_end_micros
FROM shares
