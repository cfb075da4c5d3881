-- Is the loop closed: from what customers complain of to what they say of how it was mended. loop_closure: of the cases with a
-- failure at least so many days old, those with an answer, a decision, and the customer told of it. decision_participation: of
-- the decisions, those to which the customer said agree, disagree or counter. promises_kept: of the promises due, those with
-- the case resolved in time; one that another took the place of before it was due is none. recovery_rate: of the cases with at
-- most 2 of 5, or a complaint, before the follow-up rating, those with at least 4 of 5 in it. recovery_delta: by how many points
-- of five the rating rose. double_deviation: of the failures of known customers at least window days old (in a case the first, and
-- the first after each resolution), those followed by another within window days. n is what a figure is of; low and high are its
-- 95 % interval (Wilson; of recovery_delta from its standard deviation, none where all are equal).
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : where the case began; empty: anywhere
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param by String in hour|day|week|month|all = all: length of a period: hour, day, week (from Monday), month, or all for all of it at once, UTC
-- param older UInt32 = 7: days after which a loop should be closed
-- param window UInt32 = 30: days within which a second failure counts
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
                tenant, arrayConcat(figures, if(failed = 0 OR customer_key = '' OR {channel:String} != '', [],
                    [('double_deviation', toFloat64(next != 0 AND next - failed <= 86400000 * {window:UInt32}), if(failed < days({window:UInt32}), failed, 0))])) AS figures
            FROM
            (
                SELECT
                    tenant, customer_key, letdown.1 AS failed, if(letdown.2 = 1, all_figures, []) AS figures,
                    leadInFrame(failed, 1, 0) OVER (PARTITION BY tenant, customer_key, failed = 0 ORDER BY failed, thread ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next
                FROM
                (
                    SELECT
                        tenant, thread, customer_key, arrayZip(if(empty(letdowns), [toInt64(0)], letdowns) AS at_each, arrayEnumerate(at_each)) AS each,
                        arrayConcat([
                            ('loop_closure', toFloat64(responded != 0 AND decided != 0 AND informed != 0), if(failed < days({older:UInt32}), failed, 0)),
                            ('recovery_rate', toFloat64(follow.rating >= 0.5), if(follow.at != 0 AND (initial.at != 0 AND initial.rating <= -0.5 OR failed != 0 AND failed < follow.at), first_at, 0)),
                            ('recovery_delta', 2 * (toFloat64(follow.rating) - toFloat64(initial.rating)), if(follow.at != 0 AND initial.at != 0 AND initial.rating <= -0.5, first_at, 0))],
                            arrayMap(d -> ('decision_participation', toFloat64(arrayLast(a -> a.rank = 2, d).said != ''), d[1].at), decisions),
                            arrayMap(m -> ('promises_kept', toFloat64(arrayExists(a -> a.rank = 4 AND a.at >= m.at AND a.at <= m.due, acts)), m.at),
                                arrayFilter(m -> m.due <= days(0), promises))) AS all_figures
                    FROM loops
                    WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
                    UNION ALL
                    SELECT
                        tenant, thread, customer_key, [(toUnixTimestamp64Milli(at), toUInt32(1))] AS each,
                        [('loop_closure', 0., if(each[1].1 < days({older:UInt32}), each[1].1, 0))] AS all_figures
                    FROM lone_waits
                    WHERE failure AND at >= since AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
                )
                ARRAY JOIN each AS letdown
            )
        )
        ARRAY JOIN figures AS one
        WHERE one.3 != 0
    )
    WHERE at >= since AND at < {to:DateTime}
        AND throwIf({by:String} NOT IN ('all', 'hour', 'day', 'week', 'month'), 'by takes hour, day, week, month or all') = 0
    GROUP BY time, tenant, figure
)
ORDER BY time, tenant, indexOf(['loop_closure', 'decision_participation', 'promises_kept', 'recovery_rate', 'recovery_delta', 'double_deviation'], figure)
