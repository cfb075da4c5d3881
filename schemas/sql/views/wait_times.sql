-- How long customers waited for an answer and until when they were to have it, whatever the time is now: the view
-- response_times adds to it whether the answer came in time. Read that one.
CREATE OR REPLACE VIEW wait_times
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
    channel LowCardinality(String) COMMENT 'Where the case or conversation began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.'
)
AS
SELECT
    w.tenant AS tenant, w.thread AS thread, w.cycle AS cycle, w.metric AS metric, w.started_at AS started_at, w.answered_at AS answered_at,
    w.closed_at AS closed_at, (w.answered - w.started) / 1000 AS wall_seconds,
    multiIf(w.ended = 0, NULL, w.has_hours, (e.e_before + least(w.ended - e.e_opens, e.e_open) - w.worked) / 1000, wall_seconds) AS business_seconds,
    w.target_seconds AS target_seconds, w.due_at AS due_at,
    w.channel AS channel, w.product_id AS product_id, w.customer_key AS customer_key
FROM
(
    SELECT
        v.*,
        fromUnixTimestamp64Milli(if(v.has_hours AND v.business_clock AND d.d_opens > 0,
            d.d_opens + v.need - d.d_before, v.started + toInt64(v.target_seconds) * 1000)) AS due_at
    FROM
    (
        SELECT
            u.*, b.b_before + least(u.started - b.b_opens, b.b_open) AS worked, worked + toInt64(u.target_seconds) * 1000 AS need
        FROM
        (
            SELECT
                x.*, t.has_hours AS has_hours, t.business_clock AS business_clock,
                multiIf(mapContains(t.targets, concat(x.metric, '/', x.channel)), t.targets[concat(x.metric, '/', x.channel)],
                    mapContains(t.targets, x.metric), t.targets[x.metric], 14400) AS target_seconds
            FROM
            (
                SELECT *, if(first, 'first_response', 'next_response') AS metric, toUnixTimestamp64Milli(started_at) AS started,
                    ifNull(toUnixTimestamp64Milli(answered_at), 0) AS ended, toUnixTimestamp64Milli(answered_at) AS answered
                FROM waits
            ) AS x
            LEFT JOIN (SELECT tenant AS t_tenant, has_hours, business_clock, targets FROM response_targets) AS t ON t.t_tenant = x.tenant
        ) AS u
        ASOF LEFT JOIN (SELECT tenant AS b_tenant, opens_ms AS b_opens, open_ms AS b_open, before_ms AS b_before FROM business_hours) AS b
            ON b.b_tenant = u.tenant AND b.b_opens <= u.started
    ) AS v
    ASOF LEFT JOIN (SELECT tenant AS d_tenant, opens_ms AS d_opens, before_ms AS d_before FROM business_hours) AS d
        ON d.d_tenant = v.tenant AND d.d_before < v.need
) AS w
ASOF LEFT JOIN (SELECT tenant AS e_tenant, opens_ms AS e_opens, open_ms AS e_open, before_ms AS e_before FROM business_hours) AS e
    ON e.e_tenant = w.tenant AND e.e_opens <= w.ended
