-- How many different customers have waited for an answer for longer than a target, by tenant, channel and urgency. Who has
-- waited for three days more than that is left out: that is a backlog, not an alarm. It asks what the view needs_response
-- asks, of the hours in question only, because alerts ask every second: what expects an answer, and has had no public answer
-- by a person, no word to the customer and no resolution since under any of its ids. An edit asks when what it changes did.
-- param target UInt32 = 14400: seconds a customer may wait
-- param by_channel UInt8 in 0|1 = 1: 1: a cell for each channel
-- param tenants Array(String) = []: only these tenants; empty: all
-- param channels Array(String) = []: only these channels; empty: all
-- param intents Array(String) = []: only these intents; empty: all
-- param urgencies Array(String) = []: only these urgencies; empty: all
SELECT
    tenant,
    if({by_channel:UInt8} = 1, channel, '') AS cell_channel,
    uniqExact(if(customer_key = '', toString(event_id), customer_key)) AS total,
    0 AS negatives
FROM
(
    SELECT a.tenant AS tenant, a.channel AS channel, a.customer_key AS customer_key, a.event_id AS event_id, max(b.at >= a.at) AS done
    FROM
    (
        SELECT tenant, channel, customer_key, event_id, if(empty(said_first), occurred_at, fromUnixTimestamp64Milli(toInt64OrZero(said_first['occurred_at']), 'UTC')) AS at,
            arrayJoin(if(case_id = '' AND conversation_id = '' AND correlation_id = '', [concat(source, '#', source_event_id)],
                arrayDistinct(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id])))) AS id
        FROM feedback_current
        WHERE response_needed AND actor_kind = 'customer'
            AND at < now() - toIntervalSecond({target:UInt32}) AND at > now() - toIntervalSecond({target:UInt32} + 259200) AND occurred_at > now() - toIntervalSecond({target:UInt32} + 259200)
            AND (empty({tenants:Array(String)}) OR has({tenants:Array(String)}, tenant))
            AND (empty({channels:Array(String)}) OR has({channels:Array(String)}, channel))
            AND (empty({intents:Array(String)}) OR has({intents:Array(String)}, intent))
            AND (empty({urgencies:Array(String)}) OR has({urgencies:Array(String)}, urgency))
    ) AS a
    LEFT JOIN
    (
        SELECT tenant, arrayJoin(arrayDistinct(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id]))) AS id, max(if(empty(said_first), occurred_at, fromUnixTimestamp64Milli(toInt64OrZero(said_first['occurred_at']), 'UTC'))) AS at
        FROM feedback_current
        WHERE occurred_at > now() - toIntervalSecond({target:UInt32} + 259200)
            AND ((if(empty(said_first), kind, said_first['kind']) AS what) IN ('agent.responded', 'message.posted') AND actor_kind = 'agent' AND visibility != 'internal' OR what IN ('case.resolved', 'customer.informed'))
        GROUP BY tenant, id
    ) AS b ON b.tenant = a.tenant AND b.id = a.id
    GROUP BY tenant, channel, customer_key, event_id
)
WHERE NOT done
GROUP BY tenant, cell_channel
ORDER BY tenant, cell_channel
