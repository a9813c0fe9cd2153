--- id = "yearly_sums"
--- unit = "rows"
--- description_en = "MRR twelve months before each period of those who paid then, what they have at its end, and of that no more than they had."
--- description_es = "MRR de doce meses antes de cada periodo de quienes pagaban entonces, lo que tienen al final y, de eso, no más de lo que tenían."
--- depends_on = ["yearly_bases"]
--- source = "metric-rules B3: retention over twelve months, cohort method"
SELECT period_start, money_sum(start_micros) AS start_micros, money_sum(end_micros) AS end_micros,
       money_sum(LEAST(end_micros, start_micros)) AS kept_micros
FROM yearly_bases
GROUP BY period_start
