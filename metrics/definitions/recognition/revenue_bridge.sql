--- id = "revenue_bridge"
--- name_en = "Bridge from MRR to cash"
--- name_es = "Puente del MRR a la caja"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- breakdown = ["step"]
--- identities = ["revenue_bridge_adds_up", "recognition_rollforward"]
--- owner = "finance"
--- description_en = "From the month's MRR (mean of both ends) over recognised and invoiced revenue to the money collected. Step 3 is what of recognised revenue MRR does not explain."
--- description_es = "Del MRR del mes (media de ambos extremos), por el ingreso reconocido y lo facturado, al dinero cobrado. El paso 3 es la parte del ingreso reconocido que el MRR no explica."
--- depends_on = ["mrr_ends", "line_recognition", "collected", "periods", "policy"]
--- source = "metric-rules D6: bridge MRR -> invoiced -> recognised -> collected, residue as a number of its own"
-- Steps 1 to 3 make recognised revenue, with 4 and 5 what is invoiced, with 6 what is collected.
WITH lines AS (
  SELECT period_start,
         money_sum(CASE WHEN line_type = 'charge' THEN earned_at_end_micros - earned_at_start_micros ELSE 0 END) AS recognised_micros,
         money_sum(CASE WHEN line_type = 'charge' AND is_subscription = 0 THEN earned_at_end_micros - earned_at_start_micros ELSE 0 END) AS other_micros,
         money_sum(CASE WHEN line_type <> 'charge' THEN earned_at_end_micros - earned_at_start_micros ELSE 0 END) AS contra_micros,
         money_sum(invoiced_at_end_micros - invoiced_at_start_micros) AS invoiced_micros
  FROM line_recognition
  GROUP BY period_start
), sums AS (
  SELECT p.period_start, muldiv(COALESCE(e.opening_micros, 0) + COALESCE(e.closing_micros, 0), 1, 2) AS mrr_micros,
         COALESCE(l.recognised_micros, 0) AS recognised_micros, COALESCE(l.other_micros, 0) AS other_micros, COALESCE(l.contra_micros, 0) AS contra_micros,
         COALESCE(l.invoiced_micros, 0) AS invoiced_micros, COALESCE(c.value_micros, 0) AS collected_micros
  FROM periods p
  LEFT JOIN mrr_ends e ON e.period_start = p.period_start
  LEFT JOIN lines l ON l.period_start = p.period_start
  LEFT JOIN collected c ON c.period_start = p.period_start
), steps AS (
  SELECT period_start, '1_mrr' AS step, mrr_micros AS value_micros FROM sums
  UNION ALL
  SELECT period_start, '2_not_subscriptions', other_micros FROM sums
  UNION ALL
  SELECT period_start, '3_unexplained', recognised_micros - other_micros - mrr_micros FROM sums
  UNION ALL
  SELECT period_start, '4_contra', contra_micros FROM sums
  UNION ALL
  SELECT period_start, '5_deferred', invoiced_micros - recognised_micros - contra_micros FROM sums
  UNION ALL
  SELECT period_start, '6_receivables', collected_micros - invoiced_micros FROM sums
)
SELECT s.period_start, s.step, s.value_micros, policy.reporting_currency AS currency
FROM steps s CROSS JOIN policy
