--- id = "collected"
--- name_en = "Collected"
--- name_es = "Cobrado"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["day", "week", "month", "quarter", "year"]
--- owner = "finance"
--- description_en = "Money received in the period less refunds and disputes, at the rate of its day."
--- description_es = "Dinero recibido en el periodo menos reembolsos y disputas, a la tasa de su día."
--- depends_on = ["payments_known", "days", "reporting_rates", "policy"]
--- source = "metric-rules D6: bridge MRR -> invoiced -> recognised -> collected"
SELECT d.period_start,
       money_sum(muldiv(muldiv(p.amount_minor, 1000000, 1), require(r.numerator, 'no exchange rate from ' || p.currency || ' to ' || policy.reporting_currency || ' for ' || CAST(d.day_on AS VARCHAR)), r.denominator)) AS value_micros,
       MAX(policy.reporting_currency) AS currency
FROM payments_known p
JOIN days d ON d.utc_on = CAST(p.paid_at AS DATE) AND p.paid_at >= d.starts_at AND p.paid_at < d.ends_at
CROSS JOIN policy
LEFT JOIN reporting_rates r ON r.rate_on = d.day_on AND r.currency = p.currency
GROUP BY d.period_start
