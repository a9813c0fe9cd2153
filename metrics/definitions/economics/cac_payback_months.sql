--- id = "cac_payback_months"
--- name_en = "CAC payback, months"
--- name_es = "Recuperación del CAC, en meses"
--- unit = "factor"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- lookback_switch = "cac_lag_months"
--- identities = ["one_new_per_customer"]
--- no_value = "nobody new came, or there is no gross margin"
--- owner = "marketing"
--- description_en = "Months of gross profit of the new customers that pay for winning them."
--- description_es = "Meses de margen bruto de los clientes nuevos que pagan su captación."
--- depends_on = ["period_wins", "period_margins", "policy"]
--- source = "metric-rules B4: CAC / (ARPA of new customers * gross margin)"
SELECT w.period_start, s.acquisition_micros AS numerator,
       CASE WHEN m.revenue_micros > 0 AND m.revenue_micros > m.cogs_micros THEN muldiv(w.mrr_micros, m.revenue_micros - m.cogs_micros, m.revenue_micros) ELSE 0 END AS denominator
FROM period_wins w
CROSS JOIN policy
JOIN period_margins s ON s.period_index = w.period_index - policy.cac_lag_months
JOIN period_margins m ON m.period_index = w.period_index
