-- How long customers waited for the first answer, whatever the time is now: the view first_answers adds to it how long those who
-- have none have been waiting. Read that one.
CREATE OR REPLACE VIEW first_waits
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, else the correlation of the events.',
    channel LowCardinality(String) COMMENT 'Where the customer spoke first.',
    product String COMMENT 'The goods the customer first spoke of; empty: none named.',
    asked_at DateTime64(3, 'UTC') COMMENT 'When the customer first spoke.',
    answered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person first answered; NULL: nobody has.',
    wait_seconds Nullable(Float64) COMMENT 'From the one to the other; NULL: nobody has answered.'
)
AS
SELECT
    tenant, thread, channel, product, asked_at, if(empty(after), NULL, after[1]) AS answered_at,
    dateDiff('millisecond', asked_at, answered_at) / 1000 AS wait_seconds
FROM
(
    SELECT
        tenant, thread, argMinIf(f.channel, f.occurred_at, customer) AS channel, argMinIf(f.product_id, f.occurred_at, customer) AS product,
        minIf(f.occurred_at, customer) AS asked_at,
        arrayFilter(x -> x >= asked_at, arraySort(groupArrayIf(f.occurred_at, NOT customer))) AS after
    FROM
    (
        SELECT
            tenant, if(case_id != '', case_id, if(conversation_id != '', conversation_id, correlation_id)) AS thread, channel, product_id, occurred_at,
            actor_kind = 'customer' AS customer
        FROM feedback_current
        WHERE thread != ''
            AND (actor_kind = 'customer' AND kind IN ('feedback.received', 'message.posted', 'case.opened', 'review.published', 'mention.seen', 'rating.submitted')
                OR actor_kind = 'agent' AND visibility = 'public' AND kind IN ('agent.responded', 'message.posted'))
    ) AS f
    GROUP BY tenant, thread
    HAVING countIf(customer) > 0
)
