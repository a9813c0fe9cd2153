--- id = "active_users"
--- name_en = "Active users"
--- name_es = "Usuarios activos"
--- unit = "count"
--- direction = "up"
--- additivity = "state"
--- grains = ["day"]
--- lookback = 29
--- owner = "product"
--- description_en = "Users who did something in the product or on the site within the 30 days that end with the day."
--- description_es = "Usuarios que hicieron algo en el producto o en el sitio en los 30 días que terminan con el día."
--- depends_on = ["product_events_known", "periods"]
--- source = "kpis.csv: active_users"
WITH heard AS (
  SELECT DISTINCT p.period_start, e.user_id
  FROM periods p
  JOIN periods b ON b.period_index = p.period_index - 29
  JOIN product_events_known e ON e.happened_at >= b.starts_at AND e.happened_at < p.measured_at
  WHERE e.user_id IS NOT NULL
)
SELECT period_start, COUNT(user_id) AS value
FROM heard
GROUP BY period_start
