--- id = "logo_churn_rate_stripe"
--- name_en = "Customer churn as Stripe counts it"
--- name_es = "Tasa de cancelación al estilo de Stripe"
--- unit = "ratio"
--- direction = "down"
--- additivity = "none"
--- grains = ["day"]
--- lookback = 30
--- identities = ["mrr_not_negative"]
--- no_value = "nobody paid 30 days before and nobody new came"
--- owner = "finance"
--- description_en = "Times customers left in the last 30 days, over customers 30 days ago plus those new since; who leaves twice counts twice."
--- description_es = "Veces que los clientes se fueron en los últimos 30 días, sobre los de hace 30 días más los nuevos; quien se va dos veces cuenta dos."
--- depends_on = ["event_sums", "customers", "periods"]
--- source = "metric-rules B3: logo churn, Stripe"
WITH counted AS (
  SELECT p.period_start, money_sum(CASE WHEN e.movement = 'churn' THEN e.events ELSE 0 END) AS churned,
         money_sum(CASE WHEN e.movement = 'new' THEN e.events ELSE 0 END) AS joined
  FROM periods p
  JOIN periods h ON h.period_index > p.period_index - 30 AND h.period_index <= p.period_index
  JOIN event_sums e ON e.period_start = h.period_start
  GROUP BY p.period_start
)
SELECT p.period_start, COALESCE(c.churned, 0) AS numerator, COALESCE(b.value, 0) + COALESCE(c.joined, 0) AS denominator
FROM periods p
JOIN periods q ON q.period_index = p.period_index - 30
LEFT JOIN customers b ON b.period_start = q.period_start
LEFT JOIN counted c ON c.period_start = p.period_start
