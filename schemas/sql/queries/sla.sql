-- How often are targets met: of the waits and cycles whose time is over (n), the share that was answered or resolved within it, with
-- its 95 % interval (Wilson). Who has no answer when the time is over is a miss, also if an answer came later or the case was
-- closed without one; late counts those that came, missing those that did not. Counted by when the customer spoke.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : where the case began; empty: anywhere
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param by String in hour|day|week|month|all = all: length of a period: hour, day, week (from Monday), month, or all for all of it at once, UTC
SELECT
    time, tenant, channel, metric, n, hits, late, missing,
    round(100 * p, 1) AS hit_ratio,
    round(greatest(100 * (n * p + 1.920729440648 - 1.959964 * sqrt(n * p * (1 - p) + 0.960364720324)) / (n + 3.841458881296), 0), 1) AS hit_low,
    round(least(100 * (n * p + 1.920729440648 + 1.959964 * sqrt(n * p * (1 - p) + 0.960364720324)) / (n + 3.841458881296), 100), 1) AS hit_high
FROM
(
    SELECT
        multiIf({by:String} = 'hour', toStartOfHour(started_at), {by:String} = 'day', toDateTime(toStartOfDay(started_at), 'UTC'), {by:String} = 'week', toDateTime(toMonday(started_at), 'UTC'), {by:String} = 'month', toDateTime(toStartOfMonth(started_at), 'UTC'), NULL) AS time, tenant, channel, metric,
        count() AS n, countIf(hit) AS hits, countIf(NOT hit AND came) AS late, countIf(NOT hit AND NOT came) AS missing, hits / n AS p
    FROM
    (
        SELECT tenant, channel, metric, started_at, assumeNotNull(in_time) AS hit, answered_at IS NOT NULL AS came FROM response_times
        WHERE in_time IS NOT NULL
        UNION ALL
        SELECT tenant, channel, 'resolution' AS metric, started_at, assumeNotNull(in_time) AS hit, resolved_at IS NOT NULL AS came FROM case_cycles
        WHERE in_time IS NOT NULL
    )
    WHERE started_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND started_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
        AND throwIf({by:String} NOT IN ('all', 'hour', 'day', 'week', 'month'), 'by takes hour, day, week, month or all') = 0
    GROUP BY time, tenant, channel, metric
)
ORDER BY time, tenant, channel, metric
