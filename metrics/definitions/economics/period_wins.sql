--- id = "period_wins"
--- unit = "rows"
--- description_en = "New customers of every period and their MRR; those from channels that are paid for apart."
--- description_es = "Clientes nuevos de cada periodo y su MRR; aparte, los de canales de pago."
--- depends_on = ["customer_movements", "customer_attributes", "ad_spend_known", "periods"]
--- source = "metric-rules B4: CAC"
WITH paid_channels AS (
  SELECT DISTINCT channel FROM ad_spend_known
), wins AS (
  SELECT m.period_start, m.change_micros, CASE WHEN c.channel IS NULL THEN 0 ELSE 1 END AS is_paid
  FROM customer_movements m
  JOIN periods p ON p.period_start = m.period_start
  LEFT JOIN customer_attributes a ON a.customer_id = m.customer_id AND (a.from_at IS NULL OR a.from_at < p.measured_at) AND (a.to_at IS NULL OR a.to_at >= p.measured_at)
  LEFT JOIN paid_channels c ON c.channel = a.channel
  WHERE m.movement = 'new'
)
SELECT q.period_start, q.period_index, COUNT(w.period_start) AS customers, COALESCE(money_sum(w.change_micros), 0) AS mrr_micros,
       COUNT(CASE WHEN w.is_paid = 1 THEN 1 END) AS paid_customers
FROM periods q
LEFT JOIN wins w ON w.period_start = q.period_start
GROUP BY q.period_start, q.period_index
