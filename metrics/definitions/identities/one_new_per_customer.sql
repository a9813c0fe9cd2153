--- id = "one_new_per_customer"
--- unit = "rows"
--- description_en = "A customer is new once, and churns only with MRR to lose. Rows are violations."
--- description_es = "Un cliente es nuevo una sola vez, y solo cancela si tenía MRR. Las filas son incumplimientos."
--- depends_on = ["customer_movements"]
--- source = "metric-rules B2, invariants"
SELECT 'customer ' || customer_id || ' is new more than once' AS violation
FROM customer_movements
WHERE movement = 'new'
GROUP BY customer_id
HAVING COUNT(*) > 1
UNION ALL
SELECT 'customer ' || customer_id || ' churned without MRR' AS violation
FROM customer_movements
WHERE movement = 'churn' AND start_micros <= 0
