-- Who is likely to leave, now, and how far that can be believed: every score beside its reasons, the number of events it rests
-- on, and what became of the customers who stood in the same band 30 days ago. Without a single customer.churned event in
-- those 30 days nothing is validated, and the column says so. The score itself is made in churn_scores.
CREATE OR REPLACE VIEW customer_risk
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    customer_key String COMMENT 'Keyed hash of the customer.',
    as_of DateTime('UTC') COMMENT 'Moment of the score: the end of the last hour heard of.',
    risk Float64 COMMENT 'Score, 0 to 1. A probability only as far as it was validated.',
    band LowCardinality(String) COMMENT 'low below 0.1, raised below 0.25, high below 0.5, very high.',
    reasons Array(String) COMMENT 'What made the score, each with what it added to the log odds, the strongest first.',
    events UInt64 COMMENT 'What the customer said or answered in 90 days.',
    last_seen DateTime64(3, 'UTC') COMMENT 'The last of these.',
    band_scored UInt64 COMMENT 'Customers who stood in this band 30 days before.',
    band_left UInt64 COMMENT 'Of these, who left in those 30 days.',
    band_share Nullable(Float64) COMMENT 'The same in percent; NULL: none stood in it, or nobody left at all.',
    band_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson).',
    band_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson).',
    band_predicted Nullable(Float64) COMMENT 'Their mean score then, in percent.',
    validated String COMMENT 'yes: the mean score lies within the interval; else how it fails or why it cannot be told.'
)
AS
SELECT
    tenant, customer_key, as_of, risk, band, reasons, events, last_seen, scored AS band_scored, left AS band_left,
    if(all_left = 0, NULL, if(scored = 0, NULL, 100 * left / scored)) AS band_share,
    if(all_left = 0, NULL, if(scored = 0, NULL, greatest(100 * (left + 1.920729440648 - 1.959964 * sqrt(left * (scored - left) / scored + 0.960364720324)) / (scored + 3.841458881296), 0))) AS band_low,
    if(all_left = 0, NULL, if(scored = 0, NULL, least(100 * (left + 1.920729440648 + 1.959964 * sqrt(left * (scored - left) / scored + 0.960364720324)) / (scored + 3.841458881296), 100))) AS band_high,
    if(scored = 0, NULL, 100 * predicted / scored) AS band_predicted,
    multiIf(all_scored = 0, 'no: nobody could be scored 30 days before',
        all_left = 0, 'no: no customer.churned event of a scored customer in 30 days',
        scored < 20, concat('hardly: ', toString(scored), ' customers stood in this band'),
        all_left < 10, concat('hardly: ', toString(all_left), ' customers left'),
        band_predicted > band_high, 'no: fewer of the band left than the score says',
        band_predicted < band_low, 'no: more of the band left than the score says', 'yes') AS validated
FROM
(
    SELECT
        tenant, customer_key, as_of, latest, risk, band, reasons, events, last_seen,
        countIf(NOT latest) OVER (PARTITION BY tenant, band) AS scored,
        countIf(churned) OVER (PARTITION BY tenant, band) AS left,
        sumIf(c.risk, NOT latest) OVER (PARTITION BY tenant, band) AS predicted,
        countIf(NOT latest) OVER (PARTITION BY tenant) AS all_scored,
        countIf(churned) OVER (PARTITION BY tenant) AS all_left
    FROM churn_scores AS c
)
WHERE latest
