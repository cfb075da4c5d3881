-- Satisfaction with each facet: the parts of product, service and image, over all time; the query of the same name takes a span of time.
--
-- S = 50 (1 + m), where m is the mean of the n scores and of 20 pseudo-observations with mean 0 and variance 1/3 (the variance
-- of a score of which nothing is known); so a part that few have spoken of stays near 50 and its interval wide. The interval
-- is S -+ 1.96 * 50 * sqrt(v / (n + 20)), where v is the variance of scores and pseudo-observations together.
CREATE OR REPLACE VIEW satisfaction_by_facet
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    element LowCardinality(String) COMMENT 'The element the facet is a part of.',
    facet String COMMENT 'The part.',
    n UInt64 COMMENT 'Events that mention it.',
    mean Nullable(Float64) COMMENT 'Mean of their scores, -1 to 1; NULL: none.',
    satisfaction Float64 COMMENT 'Satisfaction index S, 0 to 100; 50 is neither good nor bad.',
    satisfaction_low Float64 COMMENT 'Lower end of its 95 % interval.',
    satisfaction_high Float64 COMMENT 'Upper end of its 95 % interval.'
)
AS
SELECT
    tenant,
    multiIf(facet IN ('quality', 'packaging', 'price'), 'product', facet = 'impression', 'image', 'service') AS element,
    part.1 AS facet,
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
                ('quality', sum(facet_quality_n), sum(facet_quality_sum), sum(facet_quality_squares)),
                ('packaging', sum(facet_packaging_n), sum(facet_packaging_sum), sum(facet_packaging_squares)),
                ('price', sum(facet_price_n), sum(facet_price_sum), sum(facet_price_squares)),
                ('presale', sum(facet_presale_n), sum(facet_presale_sum), sum(facet_presale_squares)),
                ('sale', sum(facet_sale_n), sum(facet_sale_sum), sum(facet_sale_squares)),
                ('aftersale', sum(facet_aftersale_n), sum(facet_aftersale_sum), sum(facet_aftersale_squares)),
                ('impression', sum(facet_impression_n), sum(facet_impression_sum), sum(facet_impression_squares))
            ]) AS part
        FROM satisfaction_hourly
        GROUP BY tenant
    )
)
