--- id = "churned_mrr_by_reason"
--- name_en = "Churned MRR by reason"
--- name_es = "MRR cancelado por motivo"
--- unit = "money_micros"
--- direction = "up"
--- additivity = "flow"
--- grains = ["month", "quarter", "year"]
--- breakdown = ["reason"]
--- identities = ["mrr_events_rollforward"]
--- owner = "finance"
--- description_en = "MRR of customers who left, when they left: voluntary, delinquent (payment was never made), pause, or migration to another system; below zero."
--- description_es = "MRR de los clientes que se fueron, cuando se fueron: voluntaria, por impago, pausa o migración a otro sistema; menor que cero."
--- depends_on = ["event_sums", "policy"]
--- source = "metric-rules B3, churn reason split"
SELECT e.period_start, e.reason, e.change_micros AS value_micros, policy.reporting_currency AS currency
FROM event_sums e CROSS JOIN policy
WHERE e.movement = 'churn'
