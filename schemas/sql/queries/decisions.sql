-- The decisions, newest first: what was proposed, what the customer said to it, what was decided and whether the promise was kept.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : where the case began; empty: anywhere
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 20: how many
SELECT tenant, thread, decided_at, proposal, verdict, verdict_at, outcome, made_at, promise_due, kept, informed_at, channel, customer_key
FROM decisions
WHERE decided_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND decided_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
ORDER BY decided_at DESC, tenant, thread
LIMIT {limit:UInt32}
