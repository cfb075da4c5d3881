-- One customer's whole story, in order. The command 'earshot customer' finds the key of a customer whose own name is known.
-- param tenant String = : whose customer; empty: anybody's
-- param customer_key String = : keyed hash of the customer; empty: the one with the most events of the last 30 days heard of, which shows how a story looks
-- setting optimize_move_to_prewhere = 0: the company's own events are told by three ids, so looking first and reading the rest later takes 10 ms more
-- It says what the view customer_story says, of one customer: the company's own events are looked up by the customer's ids instead of
-- being joined with those of everybody. A case that names nobody is the customer's if it was opened on something the customer
-- said (causation_id); a case that names somebody else is not. Of cases that were opened few columns are read, and looking first at the
-- kind saves 20 to 40 ms there.
WITH
    if({customer_key:String} != '', {customer_key:String}, ifNull((
        SELECT customer_key FROM feedback_current
        WHERE {customer_key:String} = '' AND customer_key != '' AND ({tenant:String} = '' OR tenant = {tenant:String})
            AND occurred_at >= (SELECT max(occurred_at) FROM feedback) - INTERVAL 30 DAY
        GROUP BY customer_key ORDER BY count() DESC, customer_key LIMIT 1), '')) AS key,
    (
        SELECT (anyLast(toString(tenant)), groupUniqArrayArray(arrayFilter(id -> id != '', [case_id, conversation_id, correlation_id])), groupUniqArray(concat(source, '#', source_event_id)))
        FROM feedback_current
        WHERE customer_key = key AND key != '' AND ({tenant:String} = '' OR tenant = {tenant:String})
    ) AS own,
    (
        SELECT arrayConcat(own.2, groupUniqArrayIf(case_id, case_id != ''))
        FROM feedback_current
        WHERE kind = 'case.opened' AND causation_id != '' AND customer_key = '' AND tenant = own.1 AND causation_id IN own.3
        SETTINGS optimize_move_to_prewhere = 1
    ) AS ids
SELECT
    f.occurred_at AS time, f.kind AS kind, f.actor_kind AS who, f.visibility AS visibility, f.channel AS channel,
    multiIf(f.case_id != '', f.case_id, f.conversation_id != '', f.conversation_id, f.correlation_id) AS thread,
    trimBoth(concat(
        f.verdict, if(f.verdict != '' AND f.text != '', ': ', ''), f.outcome, if(f.promise_due IS NULL, '', concat(', promised by ', formatDateTime(assumeNotNull(f.promise_due), '%Y-%m-%d %H:%i', 'UTC'))),
        if(f.outcome != '' AND f.decision_text != '', ': ', ''), f.decision_text, f.resolution_code, if(f.resolution_code != '' AND f.text != '', ': ', ''), f.text)) AS what,
    f.value_number AS rating, if(f.value_number IS NULL OR f.scale_max IS NULL, '', concat(toString(ifNull(f.scale_min, 0)), '-', toString(f.scale_max))) AS scale,
    f.sentiment AS sentiment, round(f.score, 2) AS score, f.intent AS intent, round(f.churn_risk, 2) AS churn_risk, f.agent_id AS agent_id,
    f.tenant AS tenant, key AS customer_key, f.event_id AS event_id
FROM feedback_current AS f
WHERE f.tenant = own.1
    AND (f.customer_key = key OR f.customer_key = '' AND (f.case_id IN ids OR f.conversation_id IN ids OR f.correlation_id IN ids))
ORDER BY time, kind, event_id
