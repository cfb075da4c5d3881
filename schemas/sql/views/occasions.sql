-- Every occasion to live up to one of the five virtues, also those of which it is too early to tell; the view conduct, which says
-- what the occasions are, leaves those out. Read that one.
CREATE OR REPLACE VIEW occasions
(
    tenant LowCardinality(String) COMMENT 'Whose people these are.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the occasion was: the message, the question, the decision, the first resolution.',
    channel LowCardinality(String) COMMENT 'Where it was.',
    product String COMMENT 'The goods it was about; empty: none named.',
    s5 String COMMENT 'smile, speed, sincerity, smart or study.',
    counts_from DateTime64(3, 'UTC') COMMENT 'When it can be told whether it was lived up to: 1970 where that is known, else the end of the time there is for it.',
    well Bool COMMENT 'Whether it was lived up to.'
)
AS
SELECT tenant, occurred_at, channel, product_id AS product, 'smile' AS s5, toDateTime64(0, 3, 'UTC') AS counts_from, polarity != 'negative' AS well
FROM feedback_current
WHERE actor_kind = 'agent' AND visibility = 'public' AND kind IN ('agent.responded', 'message.posted') AND polarity != ''
UNION ALL
SELECT tenant, asked_at, channel, product, 'speed', if(wait_seconds IS NULL, asked_at + INTERVAL 1 DAY, toDateTime64(0, 3, 'UTC')), ifNull(wait_seconds <= 86400, false)
FROM first_waits
UNION ALL
SELECT tenant, occasion.1, channel, product, occasion.2, occasion.4, occasion.3
FROM
(
    SELECT
        tenant, channel, product,
        arrayJoin(arrayConcat(
            arrayMap(p -> (p.1, 'sincerity', arrayExists(e -> e >= p.1 AND e <= p.2, ends) AS well, if(well, toDateTime64(0, 3, 'UTC'), p.2)), promises),
            if(resolved = 0, [], [(first_resolved, 'smart', reopened = 0, toDateTime64(0, 3, 'UTC'))]))) AS occasion
    FROM
    (
        SELECT
            tenant, case_id, argMin(f.channel, f.occurred_at) AS channel, argMin(f.product_id, f.occurred_at) AS product,
            groupArrayIf((f.occurred_at, assumeNotNull(f.promise_due)), f.kind = 'decision.made' AND f.promise_due IS NOT NULL) AS promises,
            groupArrayIf(f.occurred_at, f.kind IN ('case.resolved', 'customer.informed')) AS ends,
            countIf(f.kind = 'case.resolved') AS resolved, minIf(f.occurred_at, f.kind = 'case.resolved') AS first_resolved, countIf(f.kind = 'case.reopened') AS reopened
        FROM feedback_current AS f
        WHERE case_id != '' AND kind IN ('decision.made', 'case.resolved', 'customer.informed', 'case.reopened')
        GROUP BY tenant, case_id
    )
)
UNION ALL
SELECT
    tenant, occurred_at, channel, product, 'study', if(repeated, toDateTime64(0, 3, 'UTC'), occurred_at + INTERVAL 30 DAY), NOT repeated
FROM
(
    SELECT
        tenant, occurred_at, channel, product_id AS product,
        leadInFrame(occurred_at) OVER (PARTITION BY tenant, customer_key, theme ORDER BY occurred_at, seq ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS again,
        again != toDateTime64(0, 3, 'UTC') AND again <= occurred_at + INTERVAL 30 DAY AS repeated
    FROM
    (
        SELECT tenant, occurred_at, channel, product_id, customer_key, seq, arrayJoin(arrayDistinct(arrayFilter((t, p) -> t != '' AND p < 0, mention_theme, mention_polarity))) AS theme
        FROM feedback_current
        WHERE kind = 'case.opened' AND customer_key != ''
    )
)
