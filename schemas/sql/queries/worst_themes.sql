-- Which themes make most customers unhappy: themes by the number of different customers who said something negative of
-- them, with the share of negative mentions, its 95 % interval (Wilson) and the words of the worst one. An event whose
-- customer is unknown counts as one customer.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 2000-01-01 00:00:00: from when on, UTC
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 10: how many themes
SELECT
    tenant, theme, unhappy_customers, customers, unknown_customers, mentions, round(mean_polarity, 2) AS mean_polarity,
    round(if(mentions = 0, NULL, 100 * negative / mentions), 1) AS negative_share,
    round(if(mentions = 0, NULL, greatest(100 * (negative / mentions + 1.959964 * 1.959964 / (2 * mentions) - 1.959964 * sqrt(negative / mentions * (1 - negative / mentions) / mentions + 1.959964 * 1.959964 / (4 * mentions * mentions))) / (1 + 1.959964 * 1.959964 / mentions), 0)), 1) AS negative_low,
    round(if(mentions = 0, NULL, least(100 * (negative / mentions + 1.959964 * 1.959964 / (2 * mentions) + 1.959964 * sqrt(negative / mentions * (1 - negative / mentions) / mentions + 1.959964 * 1.959964 / (4 * mentions * mentions))) / (1 + 1.959964 * 1.959964 / mentions), 100)), 1) AS negative_high,
    worst_quote
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
        WHERE theme != '' AND actor_kind = 'customer' AND occurred_at >= {from:DateTime} AND occurred_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
    )
    GROUP BY tenant, theme
)
WHERE unhappy_customers > 0
ORDER BY unhappy_customers DESC, negative_low DESC, tenant, theme
LIMIT {limit:UInt32}
