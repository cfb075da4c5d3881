-- Customer effort score 2.0: agreement, from 1 to 7, that it was made easy. Three figures are in use under this name and are
-- kept apart: the mean, the share of answers 5 to 7, and the index (6 and 7 less 1 to 3). The mean has a normal interval
-- where two answers differ, the share a Wilson interval.
CREATE OR REPLACE VIEW ces
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    channel LowCardinality(String) COMMENT 'Where they were asked.',
    n UInt64 COMMENT 'Answers.',
    mean Nullable(Float64) COMMENT 'Mean answer, 1 to 7.',
    mean_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval; NULL: no two answers differ.',
    mean_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval; NULL: no two answers differ.',
    easy_share Nullable(Float64) COMMENT 'Answers 5 to 7 in percent.',
    easy_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    easy_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    effort_index Nullable(Float64) COMMENT 'Answers 6 and 7 less answers 1 to 3, in percent.'
)
AS
SELECT
    tenant, channel, n,
    ces_sum / n AS mean,
    if(n * ces_squares <= ces_sum * ces_sum, NULL, greatest(ces_sum / n - 1.959964 * sqrt(greatest(ces_squares / n - (ces_sum / n) * (ces_sum / n), 0) / (n - 1)), 1)) AS mean_low,
    if(n * ces_squares <= ces_sum * ces_sum, NULL, least(ces_sum / n + 1.959964 * sqrt(greatest(ces_squares / n - (ces_sum / n) * (ces_sum / n), 0) / (n - 1)), 7)) AS mean_high,
    if(n = 0, NULL, 100 * easy / n) AS easy_share,
    if(n = 0, NULL, greatest(100 * (easy + 1.920729440648 - 1.959964 * sqrt(easy * (n - easy) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS easy_low,
    if(n = 0, NULL, least(100 * (easy + 1.920729440648 + 1.959964 * sqrt(easy * (n - easy) / n + 0.960364720324)) / (n + 3.841458881296), 100)) AS easy_high,
    100 * (toFloat64(top) - toFloat64(bottom)) / n AS effort_index
FROM
(
    SELECT
        tenant, channel, sum(ces_n) AS n, sum(h.ces_sum) AS ces_sum, sum(h.ces_squares) AS ces_squares,
        sum(ces_5_to_7) AS easy, sum(ces_6_to_7) AS top, sum(ces_1_to_3) AS bottom
    FROM satisfaction_hourly AS h
    GROUP BY tenant, channel
    HAVING n > 0
)
