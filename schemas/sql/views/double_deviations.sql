-- Customers who were let down and then let down again: one row for each failure of a known customer, with the next one, be it in
-- the same case after it was resolved or in another. A recovery that fails costs more than a first failure; one failure well
-- mended may even bind.
CREATE OR REPLACE VIEW double_deviations
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    customer_key String COMMENT 'Keyed hash of the customer.',
    thread String COMMENT 'The case, conversation or lone complaint of the failure.',
    failed_at DateTime64(3, 'UTC') COMMENT 'When the customer was let down.',
    again_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When next; NULL: not since.',
    again_seconds Nullable(Float64) COMMENT 'Seconds between the two.'
)
AS
SELECT
    tenant, customer_key, failure.2 AS thread, fromUnixTimestamp64Milli(failure.1) AS failed_at,
    if(next = 0, NULL, fromUnixTimestamp64Milli(next)) AS again_at, if(next = 0, NULL, (next - failure.1) / 1000) AS again_seconds
FROM
(
    SELECT tenant, customer_key, failure, if(i < length(list), list[i + 1].1, 0) AS next
    FROM
    (
        SELECT tenant, customer_key, arraySort(groupArrayArray(arrayMap(at -> (at, thread), letdowns))) AS list
        FROM
        (
            SELECT tenant, customer_key, thread, letdowns FROM loops WHERE notEmpty(letdowns) AND customer_key != ''
            UNION ALL
            SELECT tenant, customer_key, thread, [toUnixTimestamp64Milli(at)] AS letdowns FROM lone_waits WHERE failure AND customer_key != ''
        )
        GROUP BY tenant, customer_key
    )
    ARRAY JOIN list AS failure, arrayEnumerate(list) AS i
)
