-- Where every case, conversation and lone complaint stands in the loop: what the customer complained of, whether somebody
-- answered, decided and told the customer, and how the customer rates it after that. The loop is closed when, after the first
-- failure, a person answered in public, a decision was made, and after the decision the customer was told.
CREATE OR REPLACE VIEW cases
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, else source#id of the event.',
    channel LowCardinality(String) COMMENT 'Where it began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    began_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer first spoke; NULL: not yet.',
    failed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer first said something negative, or rated at most 2 of 5; NULL: never.',
    responded_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First public answer after that; NULL: none.',
    decided_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First decision made after that; NULL: none.',
    informed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer was told after the decision; NULL: not yet.',
    loop_closed Nullable(Bool) COMMENT 'Whether all three were done; NULL: there is no failure.',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Last resolution; NULL: none.',
    initial_rating Nullable(Float32) COMMENT 'First rating by the customer before the follow-up, -1 to 1; NULL: none.',
    follow_up_rating Nullable(Float32) COMMENT 'Last follow-up rating, -1 to 1; NULL: none.',
    failed_again_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer was let down again after a resolution of the same case; NULL: never.'
)
AS
SELECT
    tenant, thread, channel, product_id, customer_key,
    if(first_at = 0, NULL, fromUnixTimestamp64Milli(first_at)) AS began_at,
    if(failed = 0, NULL, fromUnixTimestamp64Milli(failed)) AS failed_at,
    if(failed = 0 OR responded = 0, NULL, fromUnixTimestamp64Milli(responded)) AS responded_at,
    if(failed = 0 OR decided = 0, NULL, fromUnixTimestamp64Milli(decided)) AS decided_at,
    if(failed = 0 OR informed = 0, NULL, fromUnixTimestamp64Milli(informed)) AS informed_at,
    if(failed = 0, NULL, responded > 0 AND decided > 0 AND informed > 0) AS loop_closed,
    if(resolved = 0, NULL, fromUnixTimestamp64Milli(resolved)) AS resolved_at,
    if(initial.at = 0, NULL, initial.rating) AS initial_rating,
    if(follow.at = 0, NULL, follow.rating) AS follow_up_rating,
    if(again = 0, NULL, fromUnixTimestamp64Milli(again)) AS failed_again_at
FROM loops
UNION ALL
SELECT
    tenant, thread, channel, product_id, customer_key, at AS began_at, if(failure, at, NULL) AS failed_at, NULL AS responded_at, NULL AS decided_at,
    NULL AS informed_at, if(failure, false, NULL) AS loop_closed, NULL AS resolved_at, NULL AS initial_rating, NULL AS follow_up_rating, NULL AS failed_again_at
FROM lone_waits
