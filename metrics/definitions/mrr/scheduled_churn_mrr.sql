--- id = "scheduled_churn_mrr"
--- name_en = "Scheduled churn"
--- name_es = "Bajas programadas"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "state"
--- grains = ["day", "week", "month", "quarter", "year"]
--- identities = ["mrr_not_negative"]
--- owner = "finance"
--- description_en = "MRR at the end of the period of items whose cancellation was asked for and has not taken effect; below zero."
--- description_es = "MRR al final del periodo de los elementos con baja pedida que aún no ha surtido efecto; menor que cero."
--- depends_on = ["subscription_item_mrr", "periods", "reporting_rates", "service_rates", "policy"]
--- source = "metric-rules B1, cancel_at_period_end"
SELECT p.period_start,
       money_sum(-muldiv(i.mrr_micros,
                         require(CASE WHEN policy.fx_mode = 'service_start' THEN sr.numerator ELSE r.numerator END, 'no exchange rate from ' || i.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(p.end_rate_on AS VARCHAR)),
                         CASE WHEN policy.fx_mode = 'service_start' THEN sr.denominator ELSE r.denominator END)) AS value_micros,
       MAX(policy.reporting_currency) AS currency
FROM periods p
JOIN subscription_item_mrr i ON i.starts_at < p.measured_at AND i.cancel_at >= p.measured_at AND (i.ends_at IS NULL OR i.ends_at >= p.measured_at)
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = CASE WHEN policy.fx_mode = 'constant' THEN policy.fx_constant_on ELSE p.end_rate_on END AND r.currency = i.currency
LEFT JOIN service_rates sr ON sr.service_on = i.service_on AND sr.currency = i.currency
WHERE i.is_active = 1
GROUP BY p.period_start
