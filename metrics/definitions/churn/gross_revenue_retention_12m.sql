--- id = "gross_revenue_retention_12m"
--- name_en = "Gross revenue retention, 12 months"
--- name_es = "Retención bruta de ingresos, 12 meses"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month"]
--- lookback = 12
--- identities = ["mrr_not_negative"]
--- no_value = "nobody paid a year before"
--- owner = "finance"
--- description_en = "The same over twelve months: customers are those who paid a year before the end of the period."
--- description_es = "Lo mismo en doce meses: los clientes son los que pagaban un año antes del final del periodo."
--- depends_on = ["yearly_sums"]
--- source = "metric-rules B3: trailing 12 months for boards"
SELECT period_start, kept_micros AS numerator, start_micros AS denominator
FROM yearly_sums
