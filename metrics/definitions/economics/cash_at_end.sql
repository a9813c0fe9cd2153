--- id = "cash_at_end"
--- unit = "rows"
--- description_en = "Cash at the end of every period: of every account the newest balance reported in its last 31 days, at the rate of the period's end."
--- description_es = "Caja al final de cada periodo: de cada cuenta, el último saldo informado en sus últimos 31 días, a la tasa del final del periodo."
--- depends_on = ["reported_values_known", "periods", "reporting_rates", "policy"]
--- source = "kpis.csv: runway, cash balance at month end"
-- A balance that is older says nothing of the period, and the others without it would say too little: then there is no row. An
-- account that was closed is reported once with 0.
WITH balances AS (
  SELECT p.period_start, p.period_index, p.end_rate_on, v.source, v.part, v.currency, v.amount_minor,
         CASE WHEN CAST(p.end_rate_on - v.reported_on AS BIGINT) < 31 OR v.amount_minor = 0 THEN 1 ELSE 0 END AS is_fresh,
         ROW_NUMBER() OVER (PARTITION BY p.period_start, v.source, v.part ORDER BY v.reported_on DESC, v.record_version DESC, v.recorded_at DESC, v.arrival_seq DESC) AS standing
  FROM periods p
  JOIN reported_values_known v ON v.reported_on <= p.end_rate_on
  WHERE v.value_name = 'cash_balance' AND v.amount_minor IS NOT NULL AND v.currency IS NOT NULL
)
SELECT b.period_start, b.period_index,
       money_sum(muldiv(muldiv(b.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || b.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(b.end_rate_on AS VARCHAR)), r.denominator)) AS value_micros
FROM balances b
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = b.end_rate_on AND r.currency = b.currency
WHERE b.standing = 1
GROUP BY b.period_start, b.period_index
HAVING MIN(b.is_fresh) = 1
