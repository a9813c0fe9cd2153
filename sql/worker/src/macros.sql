-- The dialect's own functions on DuckDB. Their DataFusion twins are in warehouse/engine/src/functions.
CREATE MACRO half_even_div(n, d) AS
  n // d
  + CASE
      WHEN n % d = 0 THEN 0
      WHEN 2 * abs(n % d) > abs(d) OR (2 * abs(n % d) = abs(d) AND (n // d) % 2 <> 0)
      THEN CASE WHEN (n < 0) = (d < 0) THEN 1 ELSE -1 END
      ELSE 0
    END;
-- Products that fit 62 bits take the short way; 128-bit division is ten times slower.
CREATE MACRO muldiv(a, num, den) AS
  CASE
    WHEN den = 0 AND a IS NOT NULL AND num IS NOT NULL THEN CAST(error('muldiv: division by zero') AS BIGINT)
    WHEN abs(CAST(a AS HUGEINT) * CAST(num AS HUGEINT)) < 4611686018427387904 AND abs(CAST(den AS HUGEINT)) < 4611686018427387904
    THEN CAST(half_even_div(CAST(CAST(a AS HUGEINT) * CAST(num AS HUGEINT) AS BIGINT), CAST(den AS BIGINT)) AS BIGINT)
    ELSE CAST(half_even_div(CAST(a AS HUGEINT) * CAST(num AS HUGEINT), CAST(den AS HUGEINT)) AS BIGINT)
  END;
-- Months since year 0, the day in its month (from 1), and how many days that month has.
CREATE MACRO month_index(day_on) AS CAST(year(day_on) * 12 + month(day_on) - 1 AS BIGINT);
CREATE MACRO month_day(day_on) AS CAST(day(day_on) AS BIGINT);
CREATE MACRO month_days(day_on) AS CAST(day(last_day(day_on)) AS BIGINT);
CREATE MACRO money_sum(x) AS CAST(sum(x) AS BIGINT);
CREATE MACRO ratio(a, b) AS CASE WHEN b = 0 THEN NULL ELSE CAST(a AS DOUBLE) / CAST(b AS DOUBLE) END;
CREATE MACRO require(value, message) AS CASE WHEN value IS NULL THEN CAST(error(message) AS BIGINT) ELSE CAST(value AS BIGINT) END;
-- A sum over a window is written sum(x) OVER (...) here (see windowed_sums in sql/src/setup.rs): a macro cannot be one.
CREATE MACRO after_minutes(instant, minutes) AS instant + to_minutes(CAST(minutes AS BIGINT));
CREATE MACRO micros_between(from_at, to_at) AS CAST(epoch_us(to_at) - epoch_us(from_at) AS BIGINT);
