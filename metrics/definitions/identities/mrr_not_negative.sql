--- id = "mrr_not_negative"
--- unit = "rows"
--- description_en = "No item has MRR below zero. Rows are violations."
--- description_es = "Ningún elemento tiene MRR menor que cero. Las filas son incumplimientos."
--- depends_on = ["subscription_item_mrr"]
--- source = "metric-rules B2, invariants"
SELECT 'item ' || item_id || ' of customer ' || customer_id || ' has MRR below zero' AS violation
FROM subscription_item_mrr
WHERE mrr_micros < 0
