--- id = "movement_sums"
--- unit = "rows"
--- description_en = "Customers' movements of every period added up by kind: how many, from what, to what and by how much. What rates and ratios of churn and retention are made of."
--- description_es = "Movimientos de los clientes de cada periodo sumados por clase: cuántos, desde qué, hasta qué y en cuánto. De aquí salen las tasas de cancelación y retención."
--- depends_on = ["customer_movements"]
--- source = "metric-rules B2, period-net, and B3"
-- Based are those with MRR at the start: retention counts no others, and nobody for more than its own start.
SELECT period_start, movement, COUNT(*) AS customers, money_sum(starts) AS starting_customers,
       COUNT(CASE WHEN basis_micros > 0 THEN 1 END) AS based_customers,
       money_sum(basis_micros) AS basis_micros,
       money_sum(CASE WHEN basis_micros > 0 THEN basis_micros ELSE 0 END) AS based_micros,
       money_sum(CASE WHEN basis_micros > 0 THEN end_micros ELSE 0 END) AS based_end_micros,
       money_sum(CASE WHEN basis_micros > 0 THEN LEAST(end_micros, basis_micros) ELSE 0 END) AS kept_micros,
       money_sum(change_micros) AS change_micros,
       money_sum(fx_micros) AS fx_micros, COUNT(CASE WHEN fx_micros <> 0 THEN 1 END) AS fx_customers,
       money_sum(restatement_micros) AS restatement_micros, COUNT(CASE WHEN restatement_micros <> 0 THEN 1 END) AS restated_customers
FROM customer_movements
GROUP BY period_start, movement
