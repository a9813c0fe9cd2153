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
--- depends_on = ["customer_movement_events", "mrr_at", "periods"]
--- source = "metric-rules B3: logo churn, Stripe"
WITH events AS (
  SELECT DISTINCT period_start, customer_id, group_index, movement FROM customer_movement_events WHERE movement IN ('churn', 'new')
), counted AS (
  SELECT p.period_start, COUNT(CASE WHEN e.movement = 'churn' THEN 1 END) AS churned, COUNT(CASE WHEN e.movement = 'new' THEN 1 END) AS joined
  FROM periods p
  JOIN periods h ON h.period_index > p.period_index - 30 AND h.period_index <= p.period_index
  JOIN events e ON e.period_start = h.period_start
  GROUP BY p.period_start
), base AS (
  SELECT p.period_start, COUNT(DISTINCT m.customer_id) AS customers
  FROM periods p
  JOIN periods b ON b.period_index = p.period_index - 30
  LEFT JOIN mrr_at m ON m.boundary_at = b.measured_at
  GROUP BY p.period_start
)
SELECT b.period_start, COALESCE(c.churned, 0) AS numerator, b.customers + COALESCE(c.joined, 0) AS denominator
FROM base b
LEFT JOIN counted c ON c.period_start = b.period_start
