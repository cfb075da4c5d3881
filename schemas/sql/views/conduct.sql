-- What the company's people did, as the five virtues of service measure it: one row for each occasion, and whether it was lived
-- up to. Customers' own words are not in it; they are the other side of the same virtues.
--
-- smile: a public message of a person; well when its words are not negative.
-- speed: a case or conversation, as in first_answers; well when a person answered within a day. Who waits for less than that does
-- not count yet.
-- sincerity: a decision with a promise; well when the case was resolved, or the customer told, by the time promised. A promise
-- not yet due does not count before it is kept.
-- smart: a resolved case; well when it was not opened again.
-- study: a theme that a known customer complains of in opening a case; well when the same customer opened no other case with
-- the same complaint within 30 days. Younger ones do not count yet.
CREATE OR REPLACE VIEW conduct
(
    tenant LowCardinality(String) COMMENT 'Whose people these are.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the occasion was: the message, the question, the decision, the first resolution.',
    channel LowCardinality(String) COMMENT 'Where it was.',
    product String COMMENT 'The goods it was about; empty: none named.',
    s5 String COMMENT 'smile, speed, sincerity, smart or study.',
    well Bool COMMENT 'Whether it was lived up to.'
)
AS
SELECT tenant, occurred_at, channel, product_id AS product, 'smile' AS s5, polarity != 'negative' AS well
FROM feedback_current
WHERE actor_kind = 'agent' AND visibility = 'public' AND kind IN ('agent.responded', 'message.posted') AND polarity != ''
UNION ALL
SELECT tenant, asked_at, channel, product, 'speed', ifNull(wait_seconds <= 86400, false)
FROM first_answers
WHERE wait_seconds IS NOT NULL OR waiting_seconds > 86400
UNION ALL
SELECT tenant, occasion.1, channel, product, occasion.2, occasion.3
FROM
(
    SELECT
        tenant, channel, product,
        arrayJoin(arrayConcat(
            arrayMap(p -> (p.1, 'sincerity', arrayExists(e -> e >= p.1 AND e <= p.2, ends)), arrayFilter(p -> p.2 < now64(3, 'UTC') OR arrayExists(e -> e >= p.1 AND e <= p.2, ends), promises)),
            if(resolved = 0, [], [(first_resolved, 'smart', reopened = 0)]))) AS occasion
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
SELECT tenant, occurred_at, channel, product, 'study', again = toDateTime64(0, 3, 'UTC') OR again > occurred_at + INTERVAL 30 DAY
FROM
(
    SELECT
        tenant, occurred_at, channel, product_id AS product,
        leadInFrame(occurred_at) OVER (PARTITION BY tenant, customer_key, theme ORDER BY occurred_at, seq ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS again
    FROM
    (
        SELECT tenant, occurred_at, channel, product_id, customer_key, seq, arrayJoin(arrayDistinct(arrayFilter((t, p) -> t != '' AND p < 0, mention_theme, mention_polarity))) AS theme
        FROM feedback_current
        WHERE kind = 'case.opened' AND customer_key != ''
    )
)
WHERE again != toDateTime64(0, 3, 'UTC') AND again <= occurred_at + INTERVAL 30 DAY OR occurred_at + INTERVAL 30 DAY < now64(3, 'UTC')
