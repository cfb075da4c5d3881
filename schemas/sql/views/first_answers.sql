-- How long customers waited for the first answer: one row for each case or conversation in which a customer said something.
-- The clock starts when the customer first spoke and stops as the clocks of response_times do, when a person of the company answered in
-- public or the customer was told; bots and internal notes do not stop it.
CREATE OR REPLACE VIEW first_answers
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, as in response_times.',
    channel LowCardinality(String) COMMENT 'Where the customer spoke first.',
    product String COMMENT 'The goods first spoken of; empty: none named.',
    asked_at DateTime64(3, 'UTC') COMMENT 'When the customer first spoke.',
    answered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person first answered; NULL: nobody has.',
    wait_seconds Nullable(Float64) COMMENT 'From the one to the other; NULL: nobody has answered.',
    waiting_seconds Nullable(Float64) COMMENT 'How long the customer has been waiting by now; NULL: answered.'
)
AS
SELECT
    tenant, thread, channel, product, asked_at, answered_at, wait_seconds,
    if(answered_at IS NULL, dateDiff('millisecond', asked_at, now64(3, 'UTC')) / 1000, NULL) AS waiting_seconds
FROM first_waits
