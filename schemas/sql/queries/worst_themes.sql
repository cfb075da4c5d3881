-- Which themes make most customers unhappy: themes by the number of different customers who said something negative of
-- them, with the share of negative mentions, its 95 % interval (Wilson) and the words of the worst one. An event whose
-- customer is unknown counts as one customer.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 10: how many themes
SELECT
    tenant, theme, unhappy_customers, customers, unknown_customers, mentions, round(mean_polarity, 2) AS mean_polarity,
    round(if(mentions = 0, NULL, 100 * negative / mentions), 1) AS negative_share,
    round(if(mentions = 0, NULL, greatest(100 * (negative + 1.920729440648 - 1.959964 * sqrt(negative * (mentions - negative) / mentions + 0.960364720324)) / (mentions + 3.841458881296), 0)), 1) AS negative_low,
    round(if(mentions = 0, NULL, least(100 * (negative + 1.920729440648 + 1.959964 * sqrt(negative * (mentions - negative) / mentions + 0.960364720324)) / (mentions + 3.841458881296), 100)), 1) AS negative_high,
    worst_quote
FROM
(
    SELECT
        tenant, theme,
        count() AS mentions,
        uniqExact(customer) AS customers,
        uniqExactIf(customer, unknown) AS unknown_customers,
        uniqExactIf(customer, polarity < 0) AS unhappy_customers,
        avg(toFloat64(polarity)) AS mean_polarity,
        countIf(polarity < 0) AS negative,
        argMinIf(quote, (polarity, -confidence, shard, seq), polarity < 0) AS worst_quote
    FROM
    (
        SELECT
            tenant, m_theme AS theme, customer_key = '' AS unknown, m_polarity AS polarity, m_confidence AS confidence, shard, seq,
            if(polarity < 0, substring(text, m_start + 1, m_end - m_start), '') AS quote,
            if(customer_key = '', cityHash64(tenant, event_id), cityHash64(tenant, customer_key)) AS customer
        FROM
        (
            SELECT tenant, event_id, customer_key, text, shard, seq, mention_theme, mention_polarity, mention_confidence, mention_start, mention_end
            FROM feedback_current
            WHERE notEmpty(mention_theme) AND actor_kind = 'customer'
                AND occurred_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND occurred_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
        )
        ARRAY JOIN
            mention_theme AS m_theme, mention_polarity AS m_polarity, mention_confidence AS m_confidence, mention_start AS m_start, mention_end AS m_end
        WHERE m_theme != ''
    )
    GROUP BY tenant, theme
)
WHERE unhappy_customers > 0
ORDER BY unhappy_customers DESC, negative_low DESC, tenant, theme
LIMIT {limit:UInt32}
