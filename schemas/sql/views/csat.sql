-- Customer satisfaction: the percentage of ratings in the top boxes of their own scale (4 and 5 of 5, 6 and 7 of 7, 9 and 10
-- of 10, the top one of 3 or of 2), each scale apart. A neutral answer counts as not satisfied, as most tools have it;
-- csat_excl_neutral leaves neutral answers out instead. The interval is Wilson 1927, which holds for small n and for shares
-- near 0 and 100. The query of the same name cuts it by period, product, language and stage.
CREATE OR REPLACE VIEW csat
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    channel LowCardinality(String) COMMENT 'Where they were asked.',
    scale String COMMENT 'The scale, such as 1-5; 0-1 is no or yes.',
    n UInt64 COMMENT 'Ratings.',
    satisfied UInt64 COMMENT 'Ratings in the top boxes.',
    neutral UInt64 COMMENT 'Ratings in the neutral middle.',
    csat Nullable(Float64) COMMENT 'Satisfied in percent of all.',
    csat_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    csat_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    csat_excl_neutral Nullable(Float64) COMMENT 'Satisfied in percent of all but the neutral; NULL: all are neutral.'
)
AS
SELECT
    tenant, channel, concat(toString(scale_low), '-', toString(scale_high), if(lowest_best, ', lowest best', '')) AS scale, n, satisfied, neutral,
    if(n = 0, NULL, 100 * satisfied / n) AS csat,
    if(n = 0, NULL, greatest(100 * (satisfied + 1.920729440648 - 1.959964 * sqrt(satisfied * (n - satisfied) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS csat_low,
    if(n = 0, NULL, least(100 * (satisfied + 1.920729440648 + 1.959964 * sqrt(satisfied * (n - satisfied) / n + 0.960364720324)) / (n + 3.841458881296), 100)) AS csat_high,
    if(n = neutral, NULL, 100 * satisfied / (n - neutral)) AS csat_excl_neutral
FROM
(
    SELECT tenant, channel, scale_low, scale_high, lowest_best, count(c.csat) AS n, countIf(c.csat = 1) AS satisfied, countIf(c.csat = 0.5) AS neutral
    FROM feedback_cuts AS c
    WHERE c.csat IS NOT NULL
    GROUP BY tenant, channel, scale_low, scale_high, lowest_best
)
