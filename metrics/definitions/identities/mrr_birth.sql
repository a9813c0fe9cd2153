--- id = "mrr_birth"
--- unit = "rows"
--- description_en = "All changes since a customer's birth add up to the items that stand: nothing is left after a customer has gone, nothing is missing while one stays. Rows are violations."
--- description_es = "Todos los cambios desde el alta de un cliente suman lo que tiene: nada queda cuando se va, nada falta mientras está. Las filas son incumplimientos."
--- depends_on = ["customer_steps", "subscription_item_mrr"]
--- source = "metric-rules B2: movements since birth = state"
WITH changes AS (
  SELECT customer_id, currency, native_after_micros - native_before_micros AS part_micros FROM customer_steps
  UNION ALL
  SELECT customer_id, currency, -mrr_micros FROM subscription_item_mrr WHERE is_active = 1 AND ends_at IS NULL
)
SELECT 'customer ' || customer_id || ': changes since birth miss the state by ' || CAST(money_sum(part_micros) AS VARCHAR) || ' millionths of a minor unit of ' || currency AS violation
FROM changes
GROUP BY customer_id, currency
HAVING money_sum(part_micros) <> 0
UNION ALL
SELECT 'customer ' || customer_id || ' has MRR without an item' AS violation
FROM customer_steps
WHERE items_after < 0 OR items_before < 0 OR native_after_micros < 0 OR (items_after = 0 AND native_after_micros <> 0)
