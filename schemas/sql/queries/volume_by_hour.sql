-- How many customers' events came in each hour on each channel, and how many texts were negative. The first columns are
-- time, then one label, then figures, as time-series panels expect them.
-- param tenant String = : whose customers; empty: everybody's
-- param from DateTime = 1970-01-01 00:00:00: first hour, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
SELECT hour AS time, channel, sum(s.events) AS events, sum(s.negative) AS negative
FROM satisfaction_hourly AS s
WHERE hour >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND hour < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY time, channel
ORDER BY time, channel
