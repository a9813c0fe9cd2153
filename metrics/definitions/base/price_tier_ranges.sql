--- id = "price_tier_ranges"
--- unit = "rows"
--- description_en = "Tiers of prices with their first and last unit; the last tier has no last unit."
--- description_es = "Tramos de precio con su primera y última unidad; el último tramo no tiene última unidad."
--- depends_on = ["price_tiers_known"]
--- source = "metric-rules B1, quantity"
WITH ranked AS (
  SELECT price_id, currency, first_unit, unit_price_minor, flat_minor,
         ROW_NUMBER() OVER (PARTITION BY price_id, currency, first_unit ORDER BY record_version DESC, recorded_at DESC, arrival_seq DESC, record_key) AS standing
  FROM price_tiers_known
)
SELECT price_id, currency, first_unit, unit_price_minor, flat_minor,
       LEAD(first_unit) OVER (PARTITION BY price_id, currency ORDER BY first_unit) - 1 AS last_unit
FROM ranked
WHERE standing = 1
