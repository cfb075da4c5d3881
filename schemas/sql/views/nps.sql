-- Net promoter score: promoters (9, 10) less detractors (0 to 6) in percent of all answers (Reichheld 2003). The interval is
-- adjusted Wald (Rocks 2016): three answers are added, a quarter of each side and half in the middle, which keeps its
-- promise of 95 % also for few answers; the plain interval covers as little as 65 %.
CREATE OR REPLACE VIEW nps
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    channel LowCardinality(String) COMMENT 'Where they were asked.',
    n UInt64 COMMENT 'Answers.',
    promoters UInt64 COMMENT 'Answers 9 and 10.',
    detractors UInt64 COMMENT 'Answers 0 to 6.',
    nps Nullable(Float64) COMMENT 'Net promoter score, -100 to 100.',
    nps_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    nps_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.'
)
AS
SELECT
    tenant, channel, n, promoters, detractors,
    if(n = 0, NULL, 100 * (toFloat64(promoters) - toFloat64(detractors)) / n) AS nps,
    if(n = 0, NULL, greatest(100 * ((promoters + 0.75) / (n + 3) - (detractors + 0.75) / (n + 3) - 1.959964 * sqrt(((promoters + 0.75) / (n + 3) + (detractors + 0.75) / (n + 3) - ((promoters + 0.75) / (n + 3) - (detractors + 0.75) / (n + 3)) * ((promoters + 0.75) / (n + 3) - (detractors + 0.75) / (n + 3))) / (n + 3))), -100)) AS nps_low,
    if(n = 0, NULL, least(100 * ((promoters + 0.75) / (n + 3) - (detractors + 0.75) / (n + 3) + 1.959964 * sqrt(((promoters + 0.75) / (n + 3) + (detractors + 0.75) / (n + 3) - ((promoters + 0.75) / (n + 3) - (detractors + 0.75) / (n + 3)) * ((promoters + 0.75) / (n + 3) - (detractors + 0.75) / (n + 3))) / (n + 3))), 100)) AS nps_high
FROM
(
    SELECT tenant, channel, sum(nps_n) AS n, sum(h.promoters) AS promoters, sum(h.detractors) AS detractors
    FROM satisfaction_hourly AS h
    GROUP BY tenant, channel
    HAVING n > 0
)
