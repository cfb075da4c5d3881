-- What belongs together: one row for each case or conversation, with what happened in it as sorted marks, from which waits,
-- cycles, decisions and loops are read. Other views read this one; people read cases, response_times and decisions.
--
-- An event belongs to the case it names. One that names none belongs to the case that its conversation was first named with,
-- else to its conversation. A correlationid stands for the case where there is a conversation beside it, else for the
-- conversation. Feedback that names nothing belongs to the case that was opened on it (causationid of case.opened), and is
-- left to the view lone_waits where there is none; where no case was ever opened so, ids of events are not read at all. Cases and conversations are told apart by a hash of 64 bits.
--
-- A mark is 8 × the time in milliseconds + what happened: 1 a customer spoke, 2 a customer spoke and expects an answer, 3 the
-- customer was answered in public by a person or was told, 4 the case was resolved, 5 the company reopened it. So marks sort
-- by time, and at the same millisecond a question before its answer before the end. Bots, systems, internal notes and ratings of
-- how a case went make no mark: who is still let down writes, or the case is reopened. A case that a
-- help desk's system opens counts as opened by the customer, one that an agent opens does not.
--
-- A change of what was said has new words and labels, but the moment, kind and name of what was said first (said_first), as well as its
-- place, which its row has taken over: so mending a typo asks nothing again, reopens nothing and leaves no case.
CREATE OR REPLACE VIEW threads
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    thread String COMMENT 'The case, else the conversation.',
    cased Bool COMMENT 'Whether it is a case, which can be resolved, and not a mere conversation.',
    marks Array(Int64) COMMENT 'What moves the clocks, sorted: 8 * milliseconds + 1 customer spoke, 2 and expects an answer, 3 was answered, 4 resolved, 5 reopened by the company.',
    first_at Int64 COMMENT 'When a customer first spoke, in milliseconds; 0: none did.',
    channel LowCardinality(String) COMMENT 'Where it began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    asked Array(Tuple(at Int64, event_id UUID, channel LowCardinality(String), urgency LowCardinality(String), intent LowCardinality(String), polarity LowCardinality(String), churn_risk Float32, text String, uri String, case_id String, conversation_id String, product_id String)) COMMENT 'What customers said that expects an answer.',
    acts Array(Tuple(at Int64, rank UInt8, said LowCardinality(String), due Int64, text String, event_id UUID)) COMMENT 'Steps of the loop, sorted; rank 1 a decision was proposed, 2 the customer answered it, 3 it was made, 4 the case was resolved, 5 the customer was informed.',
    failures Array(Int64) COMMENT 'When a customer said something negative or rated at most 2 of 5, in milliseconds, sorted.',
    ratings Array(Tuple(at Int64, follow_up Bool, rating Float32)) COMMENT 'Ratings by the customer, -1 to 1, sorted.'
)
AS
SELECT
    tenant,
    argMax(p_name, named_key != 0) AS thread,
    toBool(max(named_key != 0)) AS cased,
    arraySort(groupArrayArray(p_marks)) AS marks,
    ifNull(min(p_first), 0) AS first_at,
    argMin(p_channel, p_order) AS channel,
    argMinIf(p_product, p_order, p_product != '') AS product_id,
    argMinIf(p_customer, p_order, p_customer != '') AS customer_key,
    arraySort(x -> (x.1, x.2), groupArrayArray(p_asked)) AS asked,
    arraySort(x -> (x.1, x.2, x.6), groupArrayArray(p_acts)) AS acts,
    arraySort(groupArrayArray(p_failures)) AS failures,
    arraySort(groupArrayArray(p_ratings)) AS ratings
FROM
(
    SELECT
        *,
        argMinIf(named_key, (p_start, named_key), named_key != 0) OVER (PARTITION BY tenant, own_key) AS first_key,
        multiIf(named_key != 0, named_key, first_key != 0, first_key, own_key) AS key
    FROM
    (
        SELECT
            tenant, own_key, named_key,
            any(if(named != '', named, own)) AS p_name,
            min(at) AS p_start,
            groupArrayIf(at * 8 + mark, mark > 0) AS p_marks,
            minOrNullIf(at, mark IN (1, 2)) AS p_first,
            min(if(mark IN (1, 2), at, at + 4611686018427387904)) AS p_order,
            argMin(channel, if(mark IN (1, 2), at, at + 4611686018427387904)) AS p_channel,
            argMinIf(product_id, at, product_id != '') AS p_product,
            argMinIf(customer_key, if(mark IN (1, 2), at, at + 4611686018427387904), customer_key != '') AS p_customer,
            groupArrayIf((at, event_id, channel, urgency, intent, polarity, churn_risk, text, uri, case_id, conversation_id, product_id), mark = 2) AS p_asked,
            groupArrayIf((at, rank, if(kind = 'decision.answered', verdict, outcome), ifNull(toUnixTimestamp64Milli(promise_due), 0), decision_text, event_id), rank > 0) AS p_acts,
            groupArrayIf(at, failure) AS p_failures,
            groupArrayIf((at, kind = 'followup.rated', ifNull(rating, 0)), rating IS NOT NULL) AS p_ratings
        FROM
        (
            WITH ifNull((SELECT true FROM feedback_current WHERE causation_id != '' AND (kind = 'case.opened' OR said_first['kind'] = 'case.opened') LIMIT 1), false) AS opened_on_lone
            SELECT
                tenant, if(empty(f.said_first), f.kind, f.said_first['kind']) AS kind, channel, product_id, customer_key, event_id, urgency, intent, polarity, churn_risk, text, uri, case_id, conversation_id,
                verdict, outcome, promise_due, decision_text, rating,
                if(empty(f.said_first), toUnixTimestamp64Milli(occurred_at), toInt64OrZero(f.said_first['occurred_at'])) AS at,
                multiIf(case_id != '', case_id, conversation_id != '', correlation_id, '') AS named,
                multiIf(conversation_id != '', conversation_id, correlation_id != '', correlation_id,
                    kind = 'case.opened' AND if(opened_on_lone, causation_id, '') != '', causation_id,
                    case_id != '', case_id, if(opened_on_lone, if(empty(f.said_first), concat(source, '#', source_event_id), f.said_first['ref']) AS ref, '')) AS own,
                if(named = '', 0, sipHash64(named)) AS named_key,
                sipHash64(own) AS own_key,
                multiIf(
                    kind = 'customer.informed', 3,
                    kind = 'case.resolved', 4,
                    kind IN ('agent.responded', 'message.posted') AND actor_kind = 'agent', if(visibility = 'internal', 0, 3),
                    kind = 'case.reopened' AND actor_kind IN ('agent', 'bot'), 5,
                    kind IN ('case.opened', 'case.reopened'), if(actor_kind IN ('customer', 'system'), 2, 0),
                    actor_kind != 'customer' OR kind IN ('agent.responded', 'decision.proposed', 'decision.made'), 0,
                    kind = 'followup.rated', 0,
                    response_needed, 2,
                    kind = 'decision.answered', 0,
                    1) AS mark,
                indexOf(['decision.proposed', 'decision.answered', 'decision.made', 'case.resolved', 'customer.informed'], kind) AS rank,
                actor_kind = 'customer' AND kind NOT IN ('agent.responded', 'decision.answered') AND (polarity = 'negative' OR ifNull(rating <= -0.5, false)) AS failure
            FROM feedback_current AS f
            WHERE f.kind NOT IN ('survey.sent', 'improvement.shipped', 'customer.updated', 'customer.churned', 'customer.retained', 'label.corrected', 'customer.erase.requested', 'customer.erase.done')
                AND (case_id != '' OR conversation_id != '' OR correlation_id != ''
                    OR opened_on_lone
                        AND (response_needed OR polarity = 'negative' OR rating <= -0.5) AND ref IN (SELECT causation_id FROM feedback_current WHERE causation_id != '' AND (kind = 'case.opened' OR said_first['kind'] = 'case.opened')))
        )
        GROUP BY tenant, own_key, named_key
    )
)
GROUP BY tenant, key
