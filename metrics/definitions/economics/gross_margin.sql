--- id = "gross_margin"
--- name_en = "Gross margin"
--- name_es = "Margen bruto"
--- unit = "ratio"
--- direction = "up"
--- additivity = "none"
--- grains = ["month", "quarter", "year"]
--- no_value = "nothing was sold in this period"
--- owner = "finance"
--- description_en = "Of what was sold, the share left after the cost of serving it (expenses of role cogs)."
--- description_es = "De lo vendido, la parte que queda tras el coste de servirlo (gastos con función cogs)."
--- depends_on = ["period_margins"]
--- source = "metric-rules B4; spec: gross_margin"
SELECT period_start, revenue_micros - cogs_micros AS numerator, revenue_micros AS denominator
FROM period_margins
WHERE revenue_micros > 0
