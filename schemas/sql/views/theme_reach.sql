-- How far each theme reaches: how often it is mentioned, by how many different customers, how bad it is and in whose words.
-- Different customers matter more than mentions: one angry customer with ten messages is one customer. An event whose
-- customer is unknown counts as one customer, since it cannot be told from others; how many such there are is shown.
CREATE OR REPLACE VIEW theme_reach
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    theme LowCardinality(String) COMMENT 'Stable id of the theme.',
    mentions UInt64 COMMENT 'Mentions.',
    customers UInt64 COMMENT 'Different customers; each event of an unknown customer counts as one.',
    unknown_customers UInt64 COMMENT 'Of these, events whose customer is unknown.',
    unhappy_customers UInt64 COMMENT 'Different customers with at least one negative mention.',
    mean_polarity Float64 COMMENT 'Mean polarity of the mentions, -1 to 1.',
    negative UInt64 COMMENT 'Negative mentions.',
    negative_share Nullable(Float64) COMMENT 'Negative mentions in percent.',
    negative_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson).',
    negative_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson).',
    first_seen DateTime64(3, 'UTC') COMMENT 'When it was first mentioned.',
    last_seen DateTime64(3, 'UTC') COMMENT 'When it was last mentioned.',
    worst_quote String COMMENT 'The words of the most negative mention.'
)
AS
SELECT
    tenant, theme, mentions, customers, unknown_customers, unhappy_customers, mean_polarity, negative,
    if(mentions = 0, NULL, 100 * negative / mentions) AS negative_share,
    if(mentions = 0, NULL, greatest(100 * (negative + 1.920729440648 - 1.959964 * sqrt(negative * (mentions - negative) / mentions + 0.960364720324)) / (mentions + 3.841458881296), 0)) AS negative_low,
    if(mentions = 0, NULL, least(100 * (negative + 1.920729440648 + 1.959964 * sqrt(negative * (mentions - negative) / mentions + 0.960364720324)) / (mentions + 3.841458881296), 100)) AS negative_high,
    first_seen, last_seen, worst_quote
FROM
(
    SELECT
        tenant, theme,
        count() AS mentions,
        uniqExact(customer) AS customers,
        uniqExactIf(event_id, customer_key = '') AS unknown_customers,
        uniqExactIf(customer, polarity < 0) AS unhappy_customers,
        avg(toFloat64(polarity)) AS mean_polarity,
        countIf(polarity < 0) AS negative,
        min(occurred_at) AS first_seen,
        max(occurred_at) AS last_seen,
        argMin(quote, (polarity, -confidence, shard, seq)) AS worst_quote
    FROM
    (
        SELECT *, if(customer_key = '', toString(event_id), customer_key) AS customer
        FROM mentions
        WHERE theme != '' AND actor_kind = 'customer'
    )
    GROUP BY tenant, theme
)
