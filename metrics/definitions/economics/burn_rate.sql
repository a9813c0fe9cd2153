--- id = "burn_rate"
--- name_en = "Burn rate"
--- name_es = "Consumo mensual de caja"
--- unit = "money_micros"
--- direction = "down"
--- additivity = "none"
--- grains = ["month"]
--- owner = "finance"
--- description_en = "Money paid out in the month beyond what came in; zero where more came in."
--- description_es = "Dinero pagado en el mes por encima de lo cobrado; cero si se cobró más."
--- depends_on = ["operating_cash_flow"]
--- source = "kpis.csv: burn_rate"
SELECT period_start, GREATEST(-value_micros, 0) AS value_micros, currency
FROM operating_cash_flow
