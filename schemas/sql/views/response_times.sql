-- How long customers waited for an answer, by the wall clock and by the tenant's business hours, and whether the answer came
-- within the target: one row for each wait. A wait is judged once its target has passed; one that has no answer by then is a
-- miss, whatever comes later, and so is a case that was closed without an answer.
CREATE OR REPLACE VIEW response_times
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, else source#id of the event.',
    cycle UInt32 COMMENT 'Which opening of the case, from 1.',
    metric LowCardinality(String) COMMENT 'first_response: the first wait of a cycle; next_response: a later one.',
    started_at DateTime64(3, 'UTC') COMMENT 'When the customer spoke.',
    answered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person answered in public; NULL: nobody did.',
    closed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the case was resolved before an answer; NULL: it was not.',
    wall_seconds Nullable(Float64) COMMENT 'Seconds from the one to the other; NULL: no answer.',
    business_seconds Nullable(Float64) COMMENT 'The same within the tenant\'s business hours; without a calendar the same as by the wall clock.',
    target_seconds UInt32 COMMENT 'Seconds allowed, on the clock of the tenant\'s targets.',
    due_at DateTime64(3, 'UTC') COMMENT 'When the time allowed is over.',
    in_time Nullable(Bool) COMMENT 'Whether the answer came by then; NULL: not due yet.',
    channel LowCardinality(String) COMMENT 'Where the case or conversation began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.'
)
AS
SELECT
    tenant, thread, cycle, metric, started_at, answered_at, closed_at, wall_seconds, business_seconds, target_seconds, due_at,
    if(due_at > now64(3, 'UTC'), NULL, ifNull(answered_at <= due_at, false)) AS in_time, channel, product_id, customer_key
FROM wait_times
