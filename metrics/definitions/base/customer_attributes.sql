--- id = "customer_attributes"
--- unit = "rows"
--- description_en = "One row per customer id with the attributes figures are split by, whichever source knew last."
--- description_es = "Una fila por cliente con los atributos por los que se desglosan las cifras, según la última fuente que los conoció."
--- depends_on = ["customers_known"]
--- source = "ARCHITECTURE: the canonical customer is a view"
WITH ranked AS (
  SELECT customer_id, country, market, channel,
         ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY recorded_at DESC, arrival_seq DESC, source) AS standing
  FROM customers_known
)
SELECT customer_id, country, market, channel
FROM ranked
WHERE standing = 1
