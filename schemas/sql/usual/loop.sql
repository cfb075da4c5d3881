-- The query loop where its rows are cached: who was let down again is read from double_deviations, which the query works out beside
-- the rest because following the cases twice would take twice as long.
-- usual
WITH
    if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AS since,
    n -> toUnixTimestamp64Milli(now64(3)) - 86400000 * n AS days
SELECT
    time, tenant, figure, if(figure = 'recovery_delta', 'points of 5', 'percent') AS unit, n,
    round(if(figure = 'recovery_delta', p, 100 * p), 2) AS value,
    round(multiIf(figure != 'recovery_delta', greatest(100 * (n * p + 1.920729440648 - 1.959964 * sqrt(n * p * (1 - p) + 0.960364720324)) / (n + 3.841458881296), 0), n < 2 OR deviation = 0, NULL, p - 1.959964 * deviation / sqrt(n)), 2) AS low,
    round(multiIf(figure != 'recovery_delta', least(100 * (n * p + 1.920729440648 + 1.959964 * sqrt(n * p * (1 - p) + 0.960364720324)) / (n + 3.841458881296), 100), n < 2 OR deviation = 0, NULL, p + 1.959964 * deviation / sqrt(n)), 2) AS high
FROM
(
    SELECT multiIf({by:String} = 'hour', toStartOfHour(at), {by:String} = 'day', toDateTime(toStartOfDay(at), 'UTC'), {by:String} = 'week', toDateTime(toMonday(at), 'UTC'), {by:String} = 'month', toDateTime(toStartOfMonth(at), 'UTC'), NULL) AS time, tenant, one.1 AS figure, count() AS n, avg(one.2) AS p, stddevSamp(one.2) AS deviation
    FROM
    (
        SELECT tenant, one, fromUnixTimestamp64Milli(one.3) AS at
        FROM
        (
            SELECT
                tenant, arrayConcat([
                    ('loop_closure', toFloat64(responded != 0 AND decided != 0 AND informed != 0), if(failed < days({older:UInt32}), failed, 0)),
                    ('recovery_rate', toFloat64(follow.rating >= 0.5), if(follow.at != 0 AND (initial.at != 0 AND initial.rating <= -0.5 OR failed != 0 AND failed < follow.at), first_at, 0)),
                    ('recovery_delta', 2 * (toFloat64(follow.rating) - toFloat64(initial.rating)), if(follow.at != 0 AND initial.at != 0 AND initial.rating <= -0.5, first_at, 0))],
                    arrayMap(d -> ('decision_participation', toFloat64(arrayLast(a -> a.rank = 2, d).said != ''), d[1].at), decisions),
                    arrayMap(m -> ('promises_kept', toFloat64(arrayExists(a -> a.rank = 4 AND a.at >= m.at AND a.at <= m.due, acts)), m.at),
                        arrayFilter(m -> m.due <= days(0), promises))) AS figures
            FROM loops
            WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
            UNION ALL
            SELECT tenant, [('loop_closure', 0., toUnixTimestamp64Milli(at))] AS figures
            FROM lone_waits
            WHERE failure AND at >= since AND toUnixTimestamp64Milli(at) < days({older:UInt32})
                AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
            UNION ALL
            SELECT tenant, [('double_deviation', toFloat64(ifNull(again_seconds <= 86400 * {window:UInt32}, false)), toUnixTimestamp64Milli(failed_at))] AS figures
            FROM double_deviations
            WHERE {channel:String} = '' AND failed_at >= since AND toUnixTimestamp64Milli(failed_at) < days({window:UInt32})
                AND ({tenant:String} = '' OR tenant = {tenant:String})
        )
        ARRAY JOIN figures AS one
        WHERE one.3 != 0
    )
    WHERE at >= since AND at < {to:DateTime}
        AND throwIf({by:String} NOT IN ('all', 'hour', 'day', 'week', 'month'), 'by takes hour, day, week, month or all') = 0
    GROUP BY time, tenant, figure
)
ORDER BY time, tenant, indexOf(['loop_closure', 'decision_participation', 'promises_kept', 'recovery_rate', 'recovery_delta', 'double_deviation'], figure)
