--- id = "cac_paid"
--- name_en = "Paid CAC"
--- name_es = "CAC de pago"
--- unit = "money_per"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- lookback_switch = "cac_lag_months"
--- identities = ["one_new_per_customer"]
--- no_value = "nobody new came from a channel that is advertised in"
--- owner = "marketing"
--- description_en = "Advertising per new customer from a channel that is advertised in."
--- description_es = "Publicidad por cliente nuevo llegado de un canal con publicidad."
--- depends_on = ["period_wins", "paid_spend", "policy"]
--- source = "metric-rules B4: CAC paid"
SELECT w.period_start, s.paid_micros AS numerator_micros, w.paid_customers AS denominator, policy.reporting_currency AS currency
FROM period_wins w
CROSS JOIN policy
JOIN paid_spend s ON s.period_index = w.period_index - policy.cac_lag_months
