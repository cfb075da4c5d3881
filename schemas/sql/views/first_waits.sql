-- How long customers waited for the first answer, whatever the time is now: the view first_answers adds to it how long those who
-- have none have been waiting. Read that one.
CREATE OR REPLACE VIEW first_waits
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, as in response_times.',
    channel LowCardinality(String) COMMENT 'Where the customer spoke first.',
    product String COMMENT 'The goods first spoken of; empty: none named.',
    asked_at DateTime64(3, 'UTC') COMMENT 'When the customer first spoke.',
    answered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person first answered; NULL: nobody has.',
    wait_seconds Nullable(Float64) COMMENT 'From the one to the other; NULL: nobody has answered.'
)
AS
SELECT
    tenant, thread, channel, product_id AS product, fromUnixTimestamp64Milli(first_at) AS asked_at,
    if(answer = 0, NULL, fromUnixTimestamp64Milli(answer)) AS answered_at, if(answer = 0, NULL, (answer - first_at) / 1000) AS wait_seconds
FROM
(
    SELECT *, intDiv(arrayFirst(m -> m % 8 = 3 AND intDiv(m, 8) >= first_at, marks), 8) AS answer
    FROM threads
    WHERE first_at > 0
)
