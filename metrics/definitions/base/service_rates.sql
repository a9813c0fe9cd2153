--- id = "service_rates"
--- unit = "rows"
--- description_en = "Rates of the days on which item states began, where the policy converts by those; otherwise no rows."
--- description_es = "Tasas de los días en que empezó cada estado, si la política convierte con ellas; si no, ninguna fila."
--- depends_on = ["subscription_item_mrr", "quoted_rates", "policy"]
--- source = "metric-rules B1, currency: service_start"
WITH needed AS (
  SELECT DISTINCT i.service_on, i.currency
  FROM subscription_item_mrr i CROSS JOIN policy
  WHERE i.is_active = 1 AND policy.fx_mode = 'service_start'
)
SELECT n.service_on, n.currency, q.numerator, q.denominator
FROM needed n
JOIN quoted_rates q ON q.currency = n.currency AND q.quoted_on <= n.service_on AND (q.next_on IS NULL OR q.next_on > n.service_on)
CROSS JOIN policy
WHERE n.service_on - q.quoted_on <= policy.fx_max_age_days
UNION ALL
SELECT n.service_on, n.currency, 1, 1
FROM needed n CROSS JOIN policy
WHERE n.currency = policy.reporting_currency
