--- id = "cac"
--- name_en = "Customer acquisition cost"
--- name_es = "Coste de captación de clientes"
--- unit = "money_per"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- lookback_switch = "cac_lag_months"
--- identities = ["one_new_per_customer"]
--- no_value = "nobody new came in this period"
--- owner = "marketing"
--- description_en = "Advertising, marketing and sales spent (as many months earlier as the policy says) per new customer of the month, whatever its channel."
--- description_es = "Publicidad, marketing y ventas gastados (con el desfase de la política) por cliente nuevo del mes, venga de donde venga."
--- depends_on = ["period_wins", "period_margins", "policy"]
--- source = "metric-rules B4: CAC blended"
SELECT w.period_start, s.acquisition_micros AS numerator_micros, w.customers AS denominator, policy.reporting_currency AS currency
FROM period_wins w
CROSS JOIN policy
JOIN period_margins s ON s.period_index = w.period_index - policy.cac_lag_months
