--- id = "one_new_per_customer"
--- unit = "rows"
--- description_en = "A customer is new once (unless the policy makes late returns new), and churns only with something to lose. Rows are violations."
--- description_es = "Un cliente es nuevo una sola vez (salvo que la política trate como nuevo al que vuelve tarde) y solo cancela si tenía algo que perder. Las filas son incumplimientos."
--- depends_on = ["customer_movements", "policy"]
--- source = "metric-rules B2, invariants"
SELECT 'customer ' || m.customer_id || ' is new more than once' AS violation
FROM customer_movements m CROSS JOIN policy
WHERE m.movement = 'new' AND policy.reactivation_minutes IS NULL
GROUP BY m.customer_id
HAVING COUNT(*) > 1
UNION ALL
SELECT 'customer ' || customer_id || ' churned without MRR' AS violation
FROM customer_movements
WHERE movement = 'churn' AND starts = 0
