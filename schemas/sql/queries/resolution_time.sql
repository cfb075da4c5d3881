-- How long do cases take: to the first resolution, to the last one, and how often they are opened again. n is how many cycles began,
-- resolved how many of them ended; the figures are in seconds, by the wall clock and within business hours. low and high are the
-- 95 % interval of the median of a cycle, from the ranks that the binomial distribution allows. Counted by when a cycle began.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : where the case began; empty: anywhere
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param by String in hour|day|week|month|all = all: length of a period: hour, day, week (from Monday), month, or all for all of it at once, UTC
SELECT
    multiIf({by:String} = 'hour', toStartOfHour(started_at), {by:String} = 'day', toDateTime(toStartOfDay(started_at), 'UTC'), {by:String} = 'week', toDateTime(toMonday(started_at), 'UTC'), {by:String} = 'month', toDateTime(toStartOfMonth(started_at), 'UTC'), NULL) AS time, tenant, channel,
    count() AS n, count(cycle_seconds) AS resolved, countIf(cycle > 1) AS reopened,
    quantileExactLow(0.5)(first_seconds) AS median_first_seconds,
    quantileExactLow(0.5)(full_seconds) AS median_full_seconds,
    quantileExactLow(0.9)(full_seconds) AS p90_full_seconds,
    quantileExactLow(0.5)(cycle_seconds) AS median_seconds,
    if(resolved < 6, NULL, arraySort(groupArray(cycle_seconds))[greatest(toInt64(floor(resolved / 2 - 1.959964 * sqrt(resolved) / 2)), 1)]) AS median_low,
    if(resolved < 6, NULL, arraySort(groupArray(cycle_seconds))[least(toInt64(ceil(1 + resolved / 2 + 1.959964 * sqrt(resolved) / 2)), resolved)]) AS median_high,
    quantileExactLow(0.5)(cycle_business_seconds) AS median_business_seconds
FROM case_cycles
WHERE started_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND started_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
    AND throwIf({by:String} NOT IN ('all', 'hour', 'day', 'week', 'month'), 'by takes hour, day, week, month or all') = 0
GROUP BY time, tenant, channel
ORDER BY time, tenant, channel
