-- Does it feel as fast as it is: what customers say of speed (index from 0 to 100, 50 being neither good nor bad) beside how
-- fast people answered them: the share of first answers within the target, late and missing ones counting as misses, and
-- the wait until the first answer. gap is perceived less measured, with the 95 % interval of the difference. The two
-- scales are not the same thing, so what tells is how the gap moves: when it falls, service feels slower than it became.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = all: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product = : a figure for each value of channel or product; empty: one for all
-- param target UInt32 = 86400: seconds within which a first answer is in time
-- param from DateTime = 1970-01-01 00:00:00: first hour (minute, where it reads minutes), UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
-- param tz String as zone = UTC: time zone in which periods begin
-- param channel String = : one channel; empty: all
-- param product String = : one product; empty: all
-- setting optimize_move_to_prewhere = 0: what belongs to a case lies in every granule, so looking first and reading the rest later takes 15 ms more
WITH
    (k, n) -> if(n = 0, NULL, greatest(100 * (k + 1.920729440648 - 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS wilson_low,
    (k, n) -> if(n = 0, NULL, least(100 * (k + 1.920729440648 + 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 100)) AS wilson_high,
    (n, total) -> 50 * (1 + total / (n + 20)) AS index,
    (n, total, squares) -> 50 * 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20)) AS half
SELECT
    time, tenant, label, said_n, round(feels, 1) AS perceived, round(greatest(feels - feels_half, 0), 1) AS perceived_low,
    round(least(feels + feels_half, 100), 1) AS perceived_high, asked AS measured_n,
    round(if(asked = 0, NULL, 100 * timely / asked), 1) AS measured,
    round(wilson_low(timely, asked), 1) AS measured_low,
    round(wilson_high(timely, asked), 1) AS measured_high,
    round(p50) AS wait_p50, round(p90) AS wait_p90,
    round(if(said_n = 0, NULL, feels - 100 * timely / nullIf(asked, 0)), 1) AS gap,
    round(if(said_n = 0, NULL, feels - 100 * timely / nullIf(asked, 0) - sqrt(pow(feels_half, 2) + pow(100 * timely / nullIf(asked, 0) - wilson_low(timely, asked), 2))), 1) AS gap_low,
    round(if(said_n = 0, NULL, feels - 100 * timely / nullIf(asked, 0) + sqrt(pow(feels_half, 2) + pow(wilson_high(timely, asked) - 100 * timely / nullIf(asked, 0), 2))), 1) AS gap_high
FROM
(
    SELECT
        if({by:String} = 'all', toTimeZone(min(u.first), {tz:String}), period) AS time, tenant, label, sum(u.n) AS said_n, index(said_n, sum(u.total)) AS feels,
        half(said_n, sum(u.total), sum(u.squares)) AS feels_half, sum(u.asked) AS asked, sum(u.timely) AS timely,
        max(u.p50) AS p50, max(u.p90) AS p90
    FROM
    (
        SELECT
            multiIf(
                {by:String} = 'month', toDateTime(toStartOfMonth(bucket, {tz:String}), {tz:String}),
                {by:String} = 'week', toDateTime(toStartOfWeek(bucket, 1, {tz:String}), {tz:String}),
                {by:String} = 'day', toStartOfDay(bucket, {tz:String}),
                {by:String} = 'hour', toStartOfHour(bucket, {tz:String}),
                {by:String} = 'minute', toStartOfMinute(bucket, {tz:String}),
                toDateTime(0, {tz:String})) AS period,
            tenant, label, min(bucket) AS first, sum(spoken) AS n, sum(sums) AS total, sum(square_sums) AS squares,
            0 AS asked, 0 AS timely, CAST(NULL AS Nullable(Float64)) AS p50, CAST(NULL AS Nullable(Float64)) AS p90
        FROM
        (
            SELECT
                tenant,
                if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
                if({split:String} = 'channel', channel, if({split:String} = 'product', product, 'all')) AS label,
                count(s5_speed) AS spoken, ifNull(sum(toFloat64(s5_speed)), 0) AS sums, ifNull(sum(toFloat64(s5_speed) * toFloat64(s5_speed)), 0) AS square_sums
            FROM feedback_cuts
            WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String})
                AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
            GROUP BY tenant, bucket, label
        )
        GROUP BY period, tenant, label
        UNION ALL
        SELECT
            multiIf(
                {by:String} = 'month', toDateTime(toStartOfMonth(bucket, {tz:String}), {tz:String}),
                {by:String} = 'week', toDateTime(toStartOfWeek(bucket, 1, {tz:String}), {tz:String}),
                {by:String} = 'day', toStartOfDay(bucket, {tz:String}),
                {by:String} = 'hour', toStartOfHour(bucket, {tz:String}),
                {by:String} = 'minute', toStartOfMinute(bucket, {tz:String}),
                toDateTime(0, {tz:String})) AS period,
            tenant, if({split:String} = 'channel', channel, if({split:String} = 'product', product, 'all')) AS label, min(bucket), 0, 0, 0,
            countIf(wait_seconds IS NOT NULL OR waiting_seconds > {target:UInt32}), countIf(wait_seconds <= {target:UInt32}),
            quantileExactInclusive(0.5)(wait_seconds), quantileExactInclusive(0.9)(wait_seconds)
        FROM
        (
            SELECT *, if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(asked_at), toStartOfHour(asked_at)) AS bucket
            FROM first_answers
            WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
        )
        GROUP BY period, tenant, label
    ) AS u
    WHERE throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
        AND throwIf({split:String} NOT IN ('', 'channel', 'product'), 'split takes channel or product, or nothing') = 0
    GROUP BY period, tenant, label
    HAVING said_n > 0 OR asked > 0 OR {by:String} = 'all' AND {split:String} = ''
)
ORDER BY tenant, label, time
