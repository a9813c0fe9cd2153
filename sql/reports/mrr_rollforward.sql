--- id = "mrr_rollforward"
--- title_en = "MRR roll-forward"
--- title_es = "Evolución del MRR"
--- description_en = "MRR at the start of the month, what moved it, and MRR at its end, in minor units. The lines add up to the cent."
-- Movements are exact in millionths of a minor unit. Each is cut down to whole minor units, and the units missing from
-- the published difference of the two ends go to the largest remainders: what the dashboard does, written anew.
WITH parts AS (
  SELECT movement, value_micros,
         ((value_micros % 1000000) + 1000000) % 1000000 AS rest_micros
  FROM mrr_movements JOIN parameters ON period_start = month
), ends AS (
  SELECT COALESCE(MAX(opening_micros), 0) AS opening_micros, COALESCE(MAX(closing_micros), 0) AS closing_micros
  FROM mrr_ends JOIN parameters ON period_start = month
), published AS (
  SELECT muldiv(opening_micros, 1, 1000000) AS opening_minor, muldiv(closing_micros, 1, 1000000) AS closing_minor FROM ends
), cut AS (
  SELECT movement, (value_micros - rest_micros) // 1000000 AS floor_minor,
         ROW_NUMBER() OVER (ORDER BY rest_micros DESC, movement) AS by_rest,
         ROW_NUMBER() OVER (ORDER BY rest_micros, movement DESC) AS by_rest_up
  FROM parts
), missing AS (
  SELECT closing_minor - opening_minor - (SELECT COALESCE(SUM(floor_minor), 0) FROM cut) AS missing_minor,
         (SELECT COUNT(*) FROM cut) AS lines
  FROM published
), lines AS (
  SELECT 0 AS position, 'opening' AS line, opening_minor AS value_minor FROM published
  UNION ALL
  SELECT CASE movement WHEN 'new' THEN 1 WHEN 'reactivation' THEN 2 WHEN 'expansion' THEN 3 WHEN 'contraction' THEN 4 WHEN 'churn' THEN 5 WHEN 'fx' THEN 6 ELSE 7 END,
         movement,
         floor_minor
           + CASE WHEN by_rest <= missing_minor THEN 1 ELSE 0 END
           + CASE WHEN by_rest <= missing_minor - lines THEN 1 ELSE 0 END
           - CASE WHEN by_rest_up <= -missing_minor THEN 1 ELSE 0 END
  FROM cut CROSS JOIN missing
  UNION ALL
  SELECT 8, 'closing', closing_minor FROM published
)
SELECT month, line, CAST(value_minor AS BIGINT) AS value_minor, policy.reporting_currency AS currency
FROM lines CROSS JOIN parameters CROSS JOIN policy
ORDER BY position
