--- id = "signed_mrr"
--- name_en = "Signed, not started"
--- name_es = "Firmado, sin empezar"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- identities = ["mrr_not_negative"]
--- owner = "finance"
--- description_en = "MRR of subscriptions that the source had recorded by the end of the period and that start after it."
--- description_es = "MRR de las suscripciones que la fuente había registrado al final del periodo y que empiezan después."
--- depends_on = ["subscription_item_mrr", "periods", "reporting_rates", "service_rates", "policy"]
--- source = "metric-rules B4: CARR; schedule phases are commitments, not MRR"
-- Of an item that has not started, only its first state is signed: later ones change it.
WITH first_states AS (
  SELECT source, item_id, MIN(starts_at) AS first_at FROM subscription_item_mrr WHERE is_active = 1 GROUP BY source, item_id
)
SELECT p.period_start,
       money_sum(muldiv(i.mrr_micros,
                        require(CASE WHEN policy.fx_mode = 'service_start' THEN sr.numerator ELSE r.numerator END, 'no exchange rate from ' || i.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(p.end_rate_on AS VARCHAR)),
                        CASE WHEN policy.fx_mode = 'service_start' THEN sr.denominator ELSE r.denominator END)) AS value_micros,
       MAX(policy.reporting_currency) AS currency
FROM periods p
JOIN subscription_item_mrr i ON i.starts_at >= p.measured_at AND i.recorded_at < p.measured_at
JOIN first_states f ON f.source = i.source AND f.item_id = i.item_id AND f.first_at = i.starts_at
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = CASE WHEN policy.fx_mode = 'constant' THEN policy.fx_constant_on ELSE p.end_rate_on END AND r.currency = i.currency
LEFT JOIN service_rates sr ON sr.service_on = i.service_on AND sr.currency = i.currency
WHERE i.is_active = 1
GROUP BY p.period_start
