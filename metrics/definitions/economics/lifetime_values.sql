--- id = "lifetime_values"
--- unit = "rows"
--- lookback = 6
--- description_en = "What a customer is worth by the simple rule: ARPA times gross margin over the churn of six closed months; no row where any of them is missing."
--- description_es = "Lo que vale un cliente por la regla simple: ARPA por margen bruto entre la cancelación de seis meses cerrados; sin fila si falta alguno."
--- depends_on = ["arpa", "period_margins", "logo_churn_rate", "periods"]
--- source = "metric-rules B4: LTV simple, trailing 6, null at 0, with margin"
WITH churn AS (
  SELECT p.period_start, money_sum(c.numerator) AS churned, money_sum(c.denominator) AS exposed
  FROM periods p
  JOIN periods h ON h.period_index > p.period_index - 6 - p.is_open AND h.period_index <= p.period_index - p.is_open
  JOIN logo_churn_rate c ON c.period_start = h.period_start
  GROUP BY p.period_start
)
SELECT a.period_start, a.currency,
       muldiv(muldiv(muldiv(a.numerator_micros, 1, a.denominator), m.revenue_micros - m.cogs_micros, m.revenue_micros), c.exposed, c.churned) AS ltv_micros
FROM arpa a
JOIN period_margins m ON m.period_start = a.period_start
JOIN churn c ON c.period_start = a.period_start
WHERE a.denominator > 0 AND m.revenue_micros > 0 AND m.revenue_micros > m.cogs_micros AND c.churned > 0
