-- How long do customers wait for an answer: the first one after a case was opened or opened again, and later ones. n is how many
-- were answered, unanswered how many were not; the median and nine in ten (p90) are of those answered, by the wall clock and
-- within business hours, in seconds. low and high are the 95 % interval of the median by the wall clock, from the ranks that
-- the binomial distribution allows. Counted by when the customer spoke.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : where the case began; empty: anywhere
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param by String in hour|day|week|month|all = all: length of a period: hour, day, week (from Monday), month, or all for all of it at once, UTC
SELECT
    multiIf({by:String} = 'hour', toStartOfHour(started_at), {by:String} = 'day', toDateTime(toStartOfDay(started_at), 'UTC'), {by:String} = 'week', toDateTime(toMonday(started_at), 'UTC'), {by:String} = 'month', toDateTime(toStartOfMonth(started_at), 'UTC'), NULL) AS time, tenant, channel, metric,
    count(wall_seconds) AS n, countIf(answered_at IS NULL) AS unanswered,
    quantileExactLow(0.5)(wall_seconds) AS median_seconds,
    if(n < 6, NULL, arraySort(groupArray(wall_seconds))[greatest(toInt64(floor(n / 2 - 1.959964 * sqrt(n) / 2)), 1)]) AS median_low,
    if(n < 6, NULL, arraySort(groupArray(wall_seconds))[least(toInt64(ceil(1 + n / 2 + 1.959964 * sqrt(n) / 2)), n)]) AS median_high,
    quantileExactLow(0.9)(wall_seconds) AS p90_seconds,
    quantileExactLow(0.5)(business_seconds) AS median_business_seconds,
    quantileExactLow(0.9)(business_seconds) AS p90_business_seconds
FROM response_times
WHERE started_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND started_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
    AND throwIf({by:String} NOT IN ('all', 'hour', 'day', 'week', 'month'), 'by takes hour, day, week, month or all') = 0
GROUP BY time, tenant, channel, metric
ORDER BY time, tenant, channel, metric
