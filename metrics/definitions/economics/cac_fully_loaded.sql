--- id = "cac_fully_loaded"
--- name_en = "Fully loaded CAC"
--- name_es = "CAC completo"
--- unit = "money_per"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- lookback_switch = "cac_lag_months"
--- identities = ["one_new_per_customer"]
--- no_value = "nobody new came in this period"
--- owner = "marketing"
--- description_en = "CAC with the salaries and tools of sales and marketing."
--- description_es = "CAC con los sueldos y herramientas de ventas y marketing."
--- depends_on = ["period_wins", "period_margins", "policy"]
--- source = "metric-rules B4: CAC fully loaded"
SELECT w.period_start, s.acquisition_micros + s.team_micros AS numerator_micros, w.customers AS denominator, policy.reporting_currency AS currency
FROM period_wins w
CROSS JOIN policy
JOIN period_margins s ON s.period_index = w.period_index - policy.cac_lag_months
