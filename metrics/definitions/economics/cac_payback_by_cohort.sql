--- id = "cac_payback_by_cohort"
--- name_en = "CAC payback by cohort, months"
--- name_es = "Recuperación del CAC por cohorte, en meses"
--- unit = "factor"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- lookback_switch = "cac_lag_months"
--- no_value = "the customers won have not paid back what winning them cost"
--- identities = ["mrr_events_rollforward"]
--- owner = "marketing"
--- description_en = "Months until the new customers of a month had brought in gross profit what winning them cost. It may be never."
--- description_es = "Meses hasta que los clientes nuevos de un mes dejaron en margen bruto lo que costó captarlos. Puede no ocurrir nunca."
--- depends_on = ["cohort_profits", "period_margins", "policy"]
--- source = "metric-rules B4: cohort payback"
SELECT c.period_start, MIN(c.age) + 1 AS numerator, 1 AS denominator
FROM cohort_profits c
CROSS JOIN policy
JOIN period_margins s ON s.period_index = c.period_index - policy.cac_lag_months
WHERE c.profit_micros >= s.acquisition_micros
GROUP BY c.period_start
