-- The five virtues of service from both sides: what customers say of each (index from 0 to 100, 50 being neither good nor bad,
-- as in satisfaction_index), and how often the company's people lived up to it (percent, as the view conduct defines it),
-- each with its n and its 95 % interval. Where the two are apart, ask why.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = all: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product = : a figure for each value of channel or product; empty: one for all
-- param from DateTime = 1970-01-01 00:00:00: first hour (minute, where it reads minutes), UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
-- param tz String as zone = UTC: time zone in which periods begin
-- param channel String = : one channel; empty: all
-- param product String = : one product; empty: all
-- setting optimize_move_to_prewhere = 0: what belongs to a case lies in every granule, so looking first and reading the rest later takes 25 ms more
WITH
    (k, n) -> if(n = 0, NULL, greatest(100 * (k + 1.920729440648 - 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS wilson_low,
    (k, n) -> if(n = 0, NULL, least(100 * (k + 1.920729440648 + 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 100)) AS wilson_high,
    (n, total) -> 50 * (1 + total / (n + 20)) AS index,
    (n, total, squares) -> 50 * 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20)) AS half
SELECT
    if({by:String} = 'all', toTimeZone(first, {tz:String}), period) AS time, tenant, label, s5, said_n,
    round(index(said_n, total), 1) AS said,
    round(greatest(index(said_n, total) - half(said_n, total, squares), 0), 1) AS said_low,
    round(least(index(said_n, total) + half(said_n, total, squares), 100), 1) AS said_high,
    did_n,
    round(if(did_n = 0, NULL, 100 * did_well / did_n), 1) AS did,
    round(wilson_low(did_well, did_n), 1) AS did_low,
    round(wilson_high(did_well, did_n), 1) AS did_high
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
        tenant, label, s5, min(bucket) AS first, sum(u.n) AS said_n, sum(u.total) AS total, sum(u.squares) AS squares,
        sum(u.occasions) AS did_n, sum(u.well) AS did_well
    FROM
    (
        SELECT tenant, bucket, label, cell.1 AS s5, cell.2 AS n, ifNull(cell.3, 0) AS total, ifNull(cell.4, 0) AS squares, 0 AS occasions, 0 AS well
        FROM
        (
            SELECT tenant, bucket, label, arrayJoin(parts) AS cell
            FROM
            (
                SELECT
                    tenant,
                    if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
                    if({split:String} = 'channel', channel, if({split:String} = 'product', product, 'all')) AS label,
                    [('smile', count(s5_smile), sum(toFloat64(s5_smile)), sum(toFloat64(s5_smile) * toFloat64(s5_smile))), ('speed', count(s5_speed), sum(toFloat64(s5_speed)), sum(toFloat64(s5_speed) * toFloat64(s5_speed))), ('sincerity', count(s5_sincerity), sum(toFloat64(s5_sincerity)), sum(toFloat64(s5_sincerity) * toFloat64(s5_sincerity))), ('smart', count(s5_smart), sum(toFloat64(s5_smart)), sum(toFloat64(s5_smart) * toFloat64(s5_smart))), ('study', count(s5_study), sum(toFloat64(s5_study)), sum(toFloat64(s5_study) * toFloat64(s5_study)))] AS parts
                FROM feedback_cuts
                WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String})
                    AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
                GROUP BY tenant, bucket, label
            )
        )
        UNION ALL
        SELECT tenant, bucket, label, s5, 0, 0, 0, occasions, good
        FROM
        (
            SELECT
                tenant,
                if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
                if({split:String} = 'channel', channel, if({split:String} = 'product', product, 'all')) AS label, s5,
                count() AS occasions, countIf(well) AS good
            FROM conduct
            WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String})
                AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
            GROUP BY tenant, bucket, label, s5
        )
    ) AS u
    WHERE throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
        AND throwIf({split:String} NOT IN ('', 'channel', 'product'), 'split takes channel or product, or nothing') = 0
    GROUP BY period, tenant, label, s5
    HAVING said_n > 0 OR did_n > 0 OR {by:String} = 'all' AND {split:String} = ''
)
ORDER BY tenant, label, time, indexOf(['smile', 'speed', 'sincerity', 'smart', 'study'], s5)
