--- id = "customer_movement_events"
--- unit = "rows"
--- description_en = "Every movement of a customer's MRR when it happened, by product, plan and what the customer was then; movements closer together than the policy's window are one. Amounts are at the rates of the period's end."
--- description_es = "Cada movimiento del MRR de un cliente cuando ocurrió, por producto, plan y lo que era entonces el cliente; los más cercanos que la ventana de la política son uno. Los importes van a las tasas del final del periodo."
--- depends_on = ["customer_steps", "customer_attributes", "periods", "reporting_rates", "policy"]
--- source = "metric-rules B2, event-level; grouping"
-- A group never crosses the end of a period: both periods would miss their sums.
WITH dated AS (
  SELECT p.period_start, s.customer_id, s.currency, s.product, s.plan, s.changed_at, s.items_before, s.items_after, s.previous_at, s.ended_by,
         s.native_before_micros, s.native_after_micros, s.own_before_micros, s.own_after_micros,
         CASE WHEN s.unrated_so_far = 0 THEN 0 END AS is_rated,
         CASE policy.fx_mode WHEN 'constant' THEN policy.fx_constant_on ELSE p.end_rate_on END AS rate_on
  FROM customer_steps s
  JOIN periods p ON s.changed_at >= p.starts_at AND s.changed_at < p.measured_at
  CROSS JOIN policy
), converted AS (
  SELECT d.period_start, d.customer_id, d.product, d.plan, a.country, a.market, a.channel, d.changed_at, d.items_before, d.items_after, d.previous_at, d.ended_by,
         CASE WHEN policy.fx_mode = 'service_start' THEN d.own_after_micros + require(d.is_rated, 'no exchange rate from ' || d.currency || ' to ' || policy.reporting_currency || ' for the start of an item of customer ' || d.customer_id)
              ELSE muldiv(d.native_after_micros, require(r.numerator, 'no exchange rate from ' || d.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(d.rate_on AS VARCHAR)), r.denominator) END AS after_micros,
         CASE WHEN policy.fx_mode = 'service_start' THEN d.own_before_micros
              ELSE muldiv(d.native_before_micros, require(r.numerator, 'no exchange rate from ' || d.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(d.rate_on AS VARCHAR)), r.denominator) END AS before_micros,
         CASE WHEN policy.fx_mode = 'service_start' AND d.native_before_micros > 0 AND d.native_after_micros > 0
              THEN muldiv(d.native_before_micros, d.own_after_micros, d.native_after_micros) - d.own_before_micros
              ELSE 0 END AS fx_micros
  FROM dated d
  CROSS JOIN policy
  LEFT JOIN reporting_rates r ON r.rate_on = d.rate_on AND r.currency = d.currency
  LEFT JOIN customer_attributes a ON a.customer_id = d.customer_id AND (a.from_at IS NULL OR a.from_at <= d.changed_at) AND (a.to_at IS NULL OR a.to_at > d.changed_at)
), moments AS (
  SELECT period_start, customer_id, changed_at, MIN(items_before) AS items_before, MIN(items_after) AS items_after, MIN(previous_at) AS previous_at, MIN(ended_by) AS ended_by
  FROM converted
  GROUP BY period_start, customer_id, changed_at
), neighbours AS (
  SELECT m.*,
         LAG(changed_at) OVER (PARTITION BY period_start, customer_id ORDER BY changed_at) AS before_at,
         LEAD(changed_at) OVER (PARTITION BY period_start, customer_id ORDER BY changed_at) AS next_at
  FROM moments m
), marked AS (
  SELECT n.*,
         CASE WHEN n.before_at IS NULL OR after_minutes(n.before_at, policy.grouping_minutes) < n.changed_at THEN 1 ELSE 0 END AS begins,
         CASE WHEN n.next_at IS NULL OR after_minutes(n.changed_at, policy.grouping_minutes) < n.next_at THEN 1 ELSE 0 END AS ends
  FROM neighbours n CROSS JOIN policy
), numbered AS (
  SELECT m.*, CAST(money_sum(begins) OVER (PARTITION BY period_start, customer_id ORDER BY changed_at) AS BIGINT) AS group_index
  FROM marked m
), grouped AS (
  SELECT period_start, customer_id, group_index, MIN(changed_at) AS began_at, MAX(changed_at) AS ended_at,
         MAX(CASE WHEN begins = 1 THEN items_before END) AS items_before, MAX(CASE WHEN begins = 1 THEN previous_at END) AS previous_at,
         MAX(CASE WHEN ends = 1 THEN items_after END) AS items_after, MAX(CASE WHEN ends = 1 THEN ended_by END) AS ended_by
  FROM numbered
  GROUP BY period_start, customer_id, group_index
), changes AS (
  SELECT c.period_start, c.customer_id, n.group_index, c.product, c.plan, c.country, c.market, c.channel,
         money_sum(c.after_micros - c.before_micros - c.fx_micros) AS change_micros, money_sum(c.fx_micros) AS fx_micros
  FROM converted c
  JOIN numbered n ON n.period_start = c.period_start AND n.customer_id = c.customer_id AND n.changed_at = c.changed_at
  GROUP BY c.period_start, c.customer_id, n.group_index, c.product, c.plan, c.country, c.market, c.channel
), totals AS (
  SELECT period_start, customer_id, group_index, money_sum(change_micros) AS total_micros
  FROM changes
  GROUP BY period_start, customer_id, group_index
)
SELECT c.period_start, c.customer_id, c.group_index, g.began_at, g.ended_at, c.product, c.plan, c.country, c.market, c.channel, c.change_micros, c.fx_micros,
       CASE WHEN g.items_before = 0 AND g.items_after = 0 THEN 'unchanged'
            WHEN g.items_before = 0 AND (g.previous_at IS NULL OR after_minutes(g.previous_at, policy.reactivation_minutes) < g.began_at) THEN 'new'
            WHEN g.items_before = 0 THEN 'reactivation'
            WHEN g.items_after = 0 THEN 'churn'
            WHEN t.total_micros > 0 THEN 'expansion'
            WHEN t.total_micros < 0 THEN 'contraction'
            ELSE 'unchanged' END AS movement,
       CASE WHEN g.items_before > 0 AND g.items_after = 0 THEN g.ended_by END AS reason
FROM changes c
JOIN grouped g ON g.period_start = c.period_start AND g.customer_id = c.customer_id AND g.group_index = c.group_index
JOIN totals t ON t.period_start = c.period_start AND t.customer_id = c.customer_id AND t.group_index = c.group_index
CROSS JOIN policy
