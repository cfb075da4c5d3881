-- How long cases took to be resolved and until when they were to be, whatever the time is now: the view case_cycles adds to it
-- whether a cycle ended in time. Read that one.
CREATE OR REPLACE VIEW cycle_times
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
    hit Nullable(Bool) COMMENT 'Whether the cycle ended within them; NULL: not resolved.',
    channel LowCardinality(String) COMMENT 'Where the case began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.'
)
AS
SELECT
    w.tenant AS tenant, w.thread AS thread, w.cycle AS cycle, w.last AS last, fromUnixTimestamp64Milli(w.opened) AS opened_at,
    fromUnixTimestamp64Milli(w.started) AS started_at, if(w.ended = 0, NULL, fromUnixTimestamp64Milli(w.ended)) AS resolved_at,
    if(w.ended = 0, NULL, (w.ended - w.started) / 1000) AS cycle_seconds,
    if(w.ended = 0 OR w.cycle != 1, NULL, (w.ended - w.opened) / 1000) AS first_seconds,
    if(w.ended = 0 OR NOT w.last, NULL, (w.ended - w.opened) / 1000) AS full_seconds,
    multiIf(w.ended = 0, NULL, w.has_hours, (e.e_before + least(w.ended - e.e_opens, e.e_open) - w.worked) / 1000, cycle_seconds) AS cycle_business_seconds,
    multiIf(w.ended = 0 OR NOT w.last, NULL, w.has_hours, (e.e_before + least(w.ended - e.e_opens, e.e_open) - w.worked_before) / 1000, full_seconds) AS full_business_seconds,
    w.target_seconds AS target_seconds,
    w.due_at AS due_at, if(w.ended = 0, NULL, if(w.has_hours AND w.business_clock, cycle_business_seconds, cycle_seconds) <= w.target_seconds) AS hit,
    w.channel AS channel, w.product_id AS product_id, w.customer_key AS customer_key
FROM
(
    SELECT v.*, fromUnixTimestamp64Milli(if(v.has_hours AND v.business_clock AND d.d_opens > 0,
        d.d_opens + v.need - d.d_before, v.started + toInt64(v.target_seconds) * 1000)) AS due_at
    FROM
    (
        SELECT u.*, o.o_before + least(u.opened - o.o_opens, o.o_open) AS worked_before
        FROM
        (
            SELECT y.*, b.b_before + least(y.started - b.b_opens, b.b_open) AS worked, worked + toInt64(y.target_seconds) * 1000 AS need
            FROM
            (
                SELECT
                    x.*, t.has_hours AS has_hours, t.business_clock AS business_clock,
                    multiIf(mapContains(t.targets, concat('resolution/', x.channel)), t.targets[concat('resolution/', x.channel)],
                        mapContains(t.targets, 'resolution'), t.targets['resolution'], 259200) AS target_seconds
                FROM
                (
                    SELECT
                        tenant, thread, channel, product_id, customer_key, i AS cycle, i = length(found) AS last, found[1].1 AS opened,
                        one.1 AS started, one.2 AS ended
                    FROM
                    (
                        SELECT
                            tenant, thread, channel, product_id, customer_key,
                            arrayFilter(c -> c.1 > 0, arrayMap(s -> (
                                intDiv(arrayFirst(m -> m % 8 IN (2, 5) OR first_at > 0 AND m % 8 = 1 AND intDiv(m, 8) = first_at AND arrayExists(k -> k > m AND k % 8 > 1, s), s), 8),
                                if(s[-1] % 8 = 4, intDiv(s[-1], 8), 0)),
                                arrayReverseSplit(m -> m % 8 = 4, marks))) AS found
                        FROM threads
                        WHERE first_at > 0 AND cased
                    )
                    ARRAY JOIN found AS one, arrayEnumerate(found) AS i
                ) AS x
                LEFT JOIN (SELECT tenant AS t_tenant, has_hours, business_clock, targets FROM response_targets) AS t ON t.t_tenant = x.tenant
            ) AS y
            ASOF LEFT JOIN (SELECT tenant AS b_tenant, opens_ms AS b_opens, open_ms AS b_open, before_ms AS b_before FROM business_hours) AS b
                ON b.b_tenant = y.tenant AND b.b_opens <= y.started
        ) AS u
        ASOF LEFT JOIN (SELECT tenant AS o_tenant, opens_ms AS o_opens, open_ms AS o_open, before_ms AS o_before FROM business_hours) AS o
            ON o.o_tenant = u.tenant AND o.o_opens <= u.opened
    ) AS v
    ASOF LEFT JOIN (SELECT tenant AS d_tenant, opens_ms AS d_opens, before_ms AS d_before FROM business_hours) AS d
        ON d.d_tenant = v.tenant AND d.d_before < v.need
) AS w
ASOF LEFT JOIN (SELECT tenant AS e_tenant, opens_ms AS e_opens, open_ms AS e_open, before_ms AS e_before FROM business_hours) AS e
    ON e.e_tenant = w.tenant AND e.e_opens <= w.ended
