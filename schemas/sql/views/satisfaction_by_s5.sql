-- Satisfaction with each of the five virtues of service, over all time; the query of the same name takes a span of time.
--
-- S = 50 (1 + m), where m is the mean of the n scores and of 20 pseudo-observations with mean 0 and variance 1/3 (the variance
-- of a score of which nothing is known); so a part that few have spoken of stays near 50 and its interval wide. The interval
-- is S -+ 1.96 * 50 * sqrt(v / (n + 20)), where v is the variance of scores and pseudo-observations together.
CREATE OR REPLACE VIEW satisfaction_by_s5
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    s5 String COMMENT 'The part.',
    n UInt64 COMMENT 'Events that mention it.',
    mean Nullable(Float64) COMMENT 'Mean of their scores, -1 to 1; NULL: none.',
    satisfaction Float64 COMMENT 'Satisfaction index S, 0 to 100; 50 is neither good nor bad.',
    satisfaction_low Float64 COMMENT 'Lower end of its 95 % interval.',
    satisfaction_high Float64 COMMENT 'Upper end of its 95 % interval.'
)
AS
SELECT
    tenant,
    part.1 AS s5,
    part.2 AS n,
    if(n = 0, NULL, total / n) AS mean,
    50 * (1 + total / (n + 20)) AS satisfaction,
    greatest(50 * (1 + total / (n + 20) - 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20))), 0) AS satisfaction_low,
    least(50 * (1 + total / (n + 20) + 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20))), 100) AS satisfaction_high
FROM
(
    SELECT tenant, part, part.3 AS total, part.4 AS squares
    FROM
    (
        SELECT
            tenant,
            arrayJoin([
                ('smile', sum(s5_smile_n), sum(s5_smile_sum), sum(s5_smile_squares)),
                ('speed', sum(s5_speed_n), sum(s5_speed_sum), sum(s5_speed_squares)),
                ('sincerity', sum(s5_sincerity_n), sum(s5_sincerity_sum), sum(s5_sincerity_squares)),
                ('smart', sum(s5_smart_n), sum(s5_smart_sum), sum(s5_smart_squares)),
                ('study', sum(s5_study_n), sum(s5_study_sum), sum(s5_study_squares))
            ]) AS part
        FROM satisfaction_hourly
        GROUP BY tenant
    )
)
