-- How long cases took to be resolved: one row for each time a case was opened or opened again, from when the customer spoke. The
-- first resolution is that of cycle 1; the full one, of the last cycle, counts from the beginning of the first, and there is none
-- while the case is open. A second resolution without a reopening in between is none. A conversation that never became a case
-- has no cycle: nobody could resolve it.
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
    in_time Nullable(Bool) COMMENT 'Whether the cycle ended within them; NULL: not resolved and not due yet.',
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
    multiIf(w.ended != 0, if(w.has_hours AND w.business_clock, cycle_business_seconds, cycle_seconds) <= w.target_seconds, w.spent >= w.target_seconds, false, NULL) AS in_time,
    w.channel AS channel, w.product_id AS product_id, w.customer_key AS customer_key
FROM
(
    SELECT v.*, n.n_before + least(v.now_ms - n.n_opens, n.n_open) AS worked_now,
        if(v.has_hours AND v.business_clock, worked_now - v.worked, v.now_ms - v.started) / 1000 AS spent
    FROM
    (
        SELECT u.*, o.o_before + least(u.opened - o.o_opens, o.o_open) AS worked_before
        FROM
        (
            SELECT y.*, b.b_before + least(y.started - b.b_opens, b.b_open) AS worked
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
                        one.1 AS started, one.2 AS ended, toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms
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
    ASOF LEFT JOIN (SELECT tenant AS n_tenant, opens_ms AS n_opens, open_ms AS n_open, before_ms AS n_before FROM business_hours) AS n
        ON n.n_tenant = v.tenant AND n.n_opens <= v.now_ms
) AS w
ASOF LEFT JOIN (SELECT tenant AS e_tenant, opens_ms AS e_opens, open_ms AS e_open, before_ms AS e_before FROM business_hours) AS e
    ON e.e_tenant = w.tenant AND e.e_opens <= w.ended
