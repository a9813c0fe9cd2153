--- id = "magic_number"
--- name_en = "Magic number (ARR)"
--- name_es = "Número mágico (ARR)"
--- unit = "factor"
--- direction = "up"
--- additivity = "none"
--- grains = ["quarter"]
--- lookback = 1
--- identities = ["mrr_rollforward"]
--- no_value = "nothing was spent on winning customers in the quarter before"
--- owner = "finance"
--- description_en = "Net new ARR of the quarter for each unit spent on sales and marketing, team included, in the quarter before."
--- description_es = "ARR neto nuevo del trimestre por unidad gastada en ventas y marketing, con equipo, en el trimestre anterior."
--- depends_on = ["net_new_arr", "period_margins"]
--- source = "metric-rules B4: magic number, ARR variant"
SELECT n.period_start, n.value_micros AS numerator, b.acquisition_micros + b.team_micros AS denominator
FROM net_new_arr n
JOIN period_margins m ON m.period_start = n.period_start
JOIN period_margins b ON b.period_index = m.period_index - 1
