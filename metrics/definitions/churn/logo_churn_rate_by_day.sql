--- id = "logo_churn_rate_by_day"
--- unit = "rows"
--- description_en = "Customers at the start of each period and how many of them are gone at its end."
--- description_es = "Clientes al inicio de cada periodo y cuántos ya no están al final."
--- depends_on = ["customer_ends"]
--- source = "metric-rules B3"
WITH netted AS (
  SELECT period_start, customer_id, MAX(starts) AS starts, MAX(closes) AS closes FROM customer_ends GROUP BY period_start, customer_id
)
SELECT period_start, COUNT(*) AS customers, COUNT(CASE WHEN closes = 0 THEN 1 END) AS churned
FROM netted
WHERE starts = 1
GROUP BY period_start
