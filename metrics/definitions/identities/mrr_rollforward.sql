--- id = "mrr_rollforward"
--- unit = "rows"
--- description_en = "Start plus movements is end, in every period, to the millionth of a minor unit. Rows are violations."
--- description_es = "El inicio más los movimientos es el final, en cada periodo, a la millonésima de unidad menor. Las filas son incumplimientos."
--- depends_on = ["movement_sums", "mrr_ends"]
--- source = "metric-rules B2, identity"
WITH moved AS (
  SELECT period_start, money_sum(change_micros) AS change_micros, money_sum(fx_micros + restatement_micros) AS other_micros
  FROM movement_sums
  GROUP BY period_start
)
SELECT e.period_start,
       'start ' || CAST(e.opening_micros AS VARCHAR) || ' + movements ' || CAST(COALESCE(m.change_micros + m.other_micros, 0) AS VARCHAR) || ' is not end ' || CAST(e.closing_micros AS VARCHAR) AS violation
FROM mrr_ends e
LEFT JOIN moved m ON m.period_start = e.period_start
WHERE e.opening_micros + COALESCE(m.change_micros + m.other_micros, 0) <> e.closing_micros
