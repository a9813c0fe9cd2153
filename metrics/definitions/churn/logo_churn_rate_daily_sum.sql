--- id = "logo_churn_rate_daily_sum"
--- name_en = "Customer churn, sum of 30 days"
--- name_es = "Tasa de cancelación, suma de 30 días"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["day"]
--- lookback = 30
--- identities = ["mrr_rollforward"]
--- owner = "finance"
--- description_en = "The churn of each of the last 30 days, added up; a shop-like rate that others used until 2022. In millionths of a millionth."
--- description_es = "La cancelación de cada uno de los últimos 30 días, sumada; una tasa de tienda que otros usaron hasta 2022. En billonésimas."
--- depends_on = ["logo_churn_rate_by_day", "periods"]
--- source = "metric-rules B3: logo churn, daily sum"
SELECT p.period_start, money_sum(muldiv(d.churned, 1000000000000, d.customers)) AS numerator, 1000000000000 AS denominator
FROM periods p
JOIN periods h ON h.period_index > p.period_index - 30 AND h.period_index <= p.period_index
JOIN logo_churn_rate_by_day d ON d.period_start = h.period_start
WHERE d.customers > 0
GROUP BY p.period_start
