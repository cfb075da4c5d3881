-- How long cases took to be resolved: one row for each time a case was opened or opened again, from when the customer spoke. The
-- first resolution is that of cycle 1; the full one, of the last cycle, counts from the beginning of the first, and there is none
-- while the case is open. A second resolution without a reopening in between is none. A cycle is judged once its time is over, as
-- waits are: else the quick ones alone would be counted of those opened today. A conversation that never became a case has no
-- cycle: nobody could resolve it.
CREATE OR REPLACE VIEW case_cycles
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case.',
    cycle UInt32 COMMENT 'Which opening of the case, from 1.',
    last Bool COMMENT 'Whether it is the last so far.',
    opened_at DateTime64(3, 'UTC') COMMENT 'When the customer first spoke in the case.',
    started_at DateTime64(3, 'UTC') COMMENT 'When this cycle began: when the customer spoke, or the company reopened the case.',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was resolved; NULL: not yet.',
    cycle_seconds Nullable(Float64) COMMENT 'Seconds of this cycle by the wall clock; NULL: not resolved.',
    first_seconds Nullable(Float64) COMMENT 'Seconds to the first resolution, in the row of the first cycle only.',
    full_seconds Nullable(Float64) COMMENT 'Seconds from when the case began to its last resolution, in the row of the last cycle only; NULL while the case is open.',
    cycle_business_seconds Nullable(Float64) COMMENT 'Seconds of this cycle within business hours.',
    full_business_seconds Nullable(Float64) COMMENT 'full_seconds within business hours.',
    target_seconds UInt32 COMMENT 'Seconds allowed for a cycle, on the clock of the tenant\'s targets.',
    due_at DateTime64(3, 'UTC') COMMENT 'When the time allowed is over.',
    in_time Nullable(Bool) COMMENT 'Whether the cycle ended by then; NULL: not due yet.',
    channel LowCardinality(String) COMMENT 'Where the case began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.'
)
AS
SELECT
    tenant, thread, cycle, last, opened_at, started_at, resolved_at, cycle_seconds, first_seconds, full_seconds, cycle_business_seconds,
    full_business_seconds, target_seconds, due_at, if(due_at > now64(3, 'UTC'), NULL, ifNull(hit, false)) AS in_time,
    channel, product_id, customer_key
FROM cycle_times
