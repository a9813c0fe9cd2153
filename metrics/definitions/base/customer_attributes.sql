--- id = "customer_attributes"
--- unit = "rows"
--- description_en = "The attributes figures are split by, and from when to when a customer had them. Each is what was last said of it, whichever source said it; what was first said of each counts since ever."
--- description_es = "Los atributos por los que se desglosan las cifras y desde cuándo hasta cuándo los tuvo un cliente. Cada uno es lo último que se dijo de él, sea cual sea la fuente; lo primero que se dijo de cada uno vale desde siempre."
--- depends_on = ["customers_versions"]
--- source = "metric-rules D7: slowly changing attributes taken as of the period"
-- A version that repeats its record says nothing: two sources that disagree would otherwise take turns at every update.
-- A record that is taken back says no more from then on; what it said before stays true of its time. What is learned of a customer
-- for the first time was so before: a country that nobody had told is no move.
WITH versions AS (
  SELECT customer_id, source, record_key, operation, country, market, channel, recorded_at, arrival_seq,
         MIN(recorded_at) OVER (PARTITION BY source, record_key ORDER BY record_version, recorded_at, arrival_seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS replaced_at
  FROM customers_versions
), stated AS (
  SELECT v.customer_id, v.source, v.record_key, v.operation, v.country, v.market, v.channel, v.recorded_at, v.arrival_seq,
         LAG(v.customer_id) OVER (PARTITION BY v.source, v.record_key ORDER BY v.recorded_at) AS former_customer_id,
         LAG(v.operation) OVER (PARTITION BY v.source, v.record_key ORDER BY v.recorded_at) AS former_operation,
         LAG(v.country) OVER (PARTITION BY v.source, v.record_key ORDER BY v.recorded_at) AS former_country,
         LAG(v.market) OVER (PARTITION BY v.source, v.record_key ORDER BY v.recorded_at) AS former_market,
         LAG(v.channel) OVER (PARTITION BY v.source, v.record_key ORDER BY v.recorded_at) AS former_channel
  FROM versions v
  WHERE v.replaced_at IS NULL OR v.replaced_at > v.recorded_at
), said AS (
  SELECT s.customer_id, s.source, s.record_key, s.operation, s.country, s.market, s.channel, s.recorded_at, s.arrival_seq,
         LEAD(s.recorded_at) OVER (PARTITION BY s.source, s.record_key ORDER BY s.recorded_at) AS until_at
  FROM stated s
  WHERE (s.customer_id IS DISTINCT FROM s.former_customer_id) OR (s.operation IS DISTINCT FROM s.former_operation)
     OR (s.country IS DISTINCT FROM s.former_country) OR (s.market IS DISTINCT FROM s.former_market) OR (s.channel IS DISTINCT FROM s.former_channel)
), instants AS (
  SELECT customer_id, recorded_at AS from_at FROM said
  UNION
  SELECT customer_id, until_at FROM said WHERE until_at IS NOT NULL
), ranked AS (
  SELECT i.customer_id, i.from_at, s.country, s.market, s.channel,
         ROW_NUMBER() OVER (PARTITION BY i.customer_id, i.from_at ORDER BY CASE WHEN s.country IS NULL THEN 1 ELSE 0 END, s.recorded_at DESC, s.arrival_seq DESC) AS country_standing,
         ROW_NUMBER() OVER (PARTITION BY i.customer_id, i.from_at ORDER BY CASE WHEN s.market IS NULL THEN 1 ELSE 0 END, s.recorded_at DESC, s.arrival_seq DESC) AS market_standing,
         ROW_NUMBER() OVER (PARTITION BY i.customer_id, i.from_at ORDER BY CASE WHEN s.channel IS NULL THEN 1 ELSE 0 END, s.recorded_at DESC, s.arrival_seq DESC) AS channel_standing
  FROM instants i
  LEFT JOIN said s ON s.customer_id = i.customer_id AND s.operation = 'upsert' AND s.recorded_at <= i.from_at AND (s.until_at IS NULL OR s.until_at > i.from_at)
), standing AS (
  SELECT customer_id, from_at, MAX(CASE WHEN country_standing = 1 THEN country END) AS country,
         MAX(CASE WHEN market_standing = 1 THEN market END) AS market, MAX(CASE WHEN channel_standing = 1 THEN channel END) AS channel
  FROM ranked
  GROUP BY customer_id, from_at
), known AS (
  SELECT s.*,
         MIN(CASE WHEN s.country IS NOT NULL THEN s.from_at END) OVER (PARTITION BY s.customer_id) AS country_at,
         MIN(CASE WHEN s.market IS NOT NULL THEN s.from_at END) OVER (PARTITION BY s.customer_id) AS market_at,
         MIN(CASE WHEN s.channel IS NOT NULL THEN s.from_at END) OVER (PARTITION BY s.customer_id) AS channel_at
  FROM standing s
), since_ever AS (
  SELECT k.customer_id, k.from_at,
         CASE WHEN k.from_at < k.country_at THEN MAX(CASE WHEN k.from_at = k.country_at THEN k.country END) OVER (PARTITION BY k.customer_id) ELSE k.country END AS country,
         CASE WHEN k.from_at < k.market_at THEN MAX(CASE WHEN k.from_at = k.market_at THEN k.market END) OVER (PARTITION BY k.customer_id) ELSE k.market END AS market,
         CASE WHEN k.from_at < k.channel_at THEN MAX(CASE WHEN k.from_at = k.channel_at THEN k.channel END) OVER (PARTITION BY k.customer_id) ELSE k.channel END AS channel
  FROM known k
), followed AS (
  SELECT s.customer_id, s.from_at, s.country, s.market, s.channel,
         LAG(s.from_at) OVER (PARTITION BY s.customer_id ORDER BY s.from_at) AS former_at,
         LAG(s.country) OVER (PARTITION BY s.customer_id ORDER BY s.from_at) AS former_country,
         LAG(s.market) OVER (PARTITION BY s.customer_id ORDER BY s.from_at) AS former_market,
         LAG(s.channel) OVER (PARTITION BY s.customer_id ORDER BY s.from_at) AS former_channel
  FROM since_ever s
)
SELECT f.customer_id, f.country, f.market, f.channel, CASE WHEN f.former_at IS NOT NULL THEN f.from_at END AS from_at,
       LEAD(f.from_at) OVER (PARTITION BY f.customer_id ORDER BY f.from_at) AS to_at,
       CASE WHEN f.former_at IS NOT NULL THEN f.former_country END AS former_country,
       CASE WHEN f.former_at IS NOT NULL THEN f.former_market END AS former_market,
       CASE WHEN f.former_at IS NOT NULL THEN f.former_channel END AS former_channel
FROM followed f
WHERE f.former_at IS NULL OR (f.country IS DISTINCT FROM f.former_country) OR (f.market IS DISTINCT FROM f.former_market) OR (f.channel IS DISTINCT FROM f.former_channel)
