--- id = "logo_churn_rate_30d"
--- name_en = "Customer churn, rolling 30 days"
--- name_es = "Tasa de cancelación, 30 días móviles"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["day"]
--- lookback = 30
--- identities = ["mrr_not_negative"]
--- no_value = "nobody paid 30 days before"
--- owner = "finance"
--- description_en = "Of the customers who paid 30 days before the end of the day, the share that no longer pays. Who joined since is not counted."
--- description_es = "De los clientes que pagaban 30 días antes del final del día, la parte que ya no paga. No cuenta a los que llegaron después."
--- depends_on = ["mrr_at", "periods"]
--- source = "metric-rules B3: logo churn, rolling 30 without joiners"
WITH base AS (
  SELECT DISTINCT p.period_start, p.measured_at, m.customer_id
  FROM periods p
  JOIN periods b ON b.period_index = p.period_index - 30
  JOIN mrr_at m ON m.boundary_at = b.measured_at
), staying AS (
  SELECT DISTINCT boundary_at, customer_id FROM mrr_at
)
SELECT b.period_start, COUNT(CASE WHEN s.customer_id IS NULL THEN 1 END) AS numerator, COUNT(*) AS denominator
FROM base b
LEFT JOIN staying s ON s.boundary_at = b.measured_at AND s.customer_id = b.customer_id
GROUP BY b.period_start
