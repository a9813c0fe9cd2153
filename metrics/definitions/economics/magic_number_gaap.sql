--- id = "magic_number_gaap"
--- name_en = "Magic number (GAAP)"
--- name_es = "Número mágico (GAAP)"
--- unit = "factor"
--- direction = "up"
--- additivity = "none"
--- grains = ["quarter"]
--- lookback = 1
--- identities = ["recognition_rollforward"]
--- no_value = "the quarter is not over, no subscription revenue was recognised in it, or nothing was spent on winning customers in the quarter before"
--- owner = "finance"
--- description_en = "Four times the growth of recognised subscription revenue over the quarter before, for each unit spent on sales and marketing, team included, in that quarter."
--- description_es = "Cuatro veces el crecimiento del ingreso reconocido por suscripciones frente al trimestre anterior, por unidad gastada en ventas y marketing, con equipo, en ese trimestre."
--- depends_on = ["line_recognition", "period_margins"]
--- source = "metric-rules B4: magic number, GAAP subscription revenue"
WITH revenue AS (
  SELECT m.period_start, m.period_index, m.is_open, money_sum(l.earned_at_end_micros - l.earned_at_start_micros) AS value_micros
  FROM period_margins m
  JOIN line_recognition l ON l.period_start = m.period_start
  WHERE l.is_subscription = 1 AND l.line_type <> 'bad_debt'
  GROUP BY m.period_start, m.period_index, m.is_open
)
SELECT r.period_start, r.value_micros - COALESCE(b.value_micros, 0) AS numerator, muldiv(m.acquisition_micros + m.team_micros, 1, 4) AS denominator
FROM revenue r
JOIN period_margins m ON m.period_index = r.period_index - 1
LEFT JOIN revenue b ON b.period_index = r.period_index - 1
WHERE r.is_open = 0
