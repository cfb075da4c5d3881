-- One customer's whole story, word for word and step by step: what the customer said, what it was taken to mean, and what the
-- company did in the customer's cases, also where the event does not name the customer. A case that names nobody is the
-- customer's if it was opened on something the customer said (causation_id). Ask for one customer_key and sort by occurred_at.
CREATE OR REPLACE VIEW customer_story
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    customer_key String COMMENT 'Keyed hash of the customer.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened.',
    kind LowCardinality(String) COMMENT 'What happened.',
    actor_kind LowCardinality(String) COMMENT 'Who did it: customer, agent, bot or system.',
    visibility LowCardinality(String) COMMENT 'Whether the customer could see it: public or internal.',
    channel LowCardinality(String) COMMENT 'Where.',
    thread String COMMENT 'The case, else the conversation; empty: neither.',
    what String COMMENT 'What was said, proposed, decided or rated.',
    rating Nullable(Float64) COMMENT 'The number the customer gave, on its own scale.',
    scale String COMMENT 'That scale, such as 1-5; empty: no number, or not known.',
    sentiment LowCardinality(String) COMMENT 'How it was said; empty: no text.',
    score Nullable(Float32) COMMENT 'The same, -1 to 1.',
    intent LowCardinality(String) COMMENT 'What the customer wanted to achieve.',
    churn_risk Float32 COMMENT 'How likely the customer was about to leave, 0 to 1.',
    agent_id String COMMENT 'Who answered for the company.',
    model LowCardinality(String) COMMENT 'Name and version of the model that made the labels.',
    event_id UUID COMMENT 'The event.'
)
AS
SELECT
    f.tenant AS tenant, f.whose AS customer_key, f.occurred_at AS occurred_at, f.kind AS kind, f.actor_kind AS actor_kind, f.visibility AS visibility,
    f.channel AS channel, multiIf(f.case_id != '', f.case_id, f.conversation_id != '', f.conversation_id, f.correlation_id) AS thread,
    trimBoth(concat(
        f.verdict, if(f.verdict != '' AND f.text != '', ': ', ''), f.outcome, if(f.promise_due IS NULL, '', concat(', promised by ', formatDateTime(assumeNotNull(f.promise_due), '%Y-%m-%d %H:%i', 'UTC'))),
        if(f.outcome != '' AND f.decision_text != '', ': ', ''), f.decision_text, f.resolution_code, if(f.resolution_code != '' AND f.text != '', ': ', ''), f.text)) AS what,
    f.value_number AS rating, if(f.value_number IS NULL OR f.scale_max IS NULL, '', concat(toString(ifNull(f.scale_min, 0)), '-', toString(f.scale_max))) AS scale,
    f.sentiment AS sentiment, f.score AS score, f.intent AS intent, f.churn_risk AS churn_risk, f.agent_id AS agent_id, f.model AS model, f.event_id AS event_id
FROM
(
    SELECT
        tenant, occurred_at, kind, actor_kind, visibility, channel, case_id, conversation_id, correlation_id, verdict, outcome, promise_due, decision_text, resolution_code, text,
        value_number, scale_min, scale_max, sentiment, score, intent, churn_risk, agent_id, model, event_id,
        customer_key AS whose
    FROM feedback_current
    WHERE customer_key != ''
    UNION ALL
    SELECT e.* EXCEPT id, o.customer_key AS whose
    FROM
    (
        SELECT
            tenant, occurred_at, kind, actor_kind, visibility, channel, case_id, conversation_id, correlation_id, verdict, outcome, promise_due, decision_text, resolution_code, text,
            value_number, scale_min, scale_max, sentiment, score, intent, churn_risk, agent_id, model, event_id,
            arrayJoin(arrayDistinct(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id]))) AS id
        FROM feedback_current
        WHERE customer_key = '' AND (case_id != '' OR conversation_id != '' OR correlation_id != '')
    ) AS e
    INNER JOIN
    (
        SELECT DISTINCT tenant, customer_key, arrayJoin(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id])) AS id
        FROM feedback_current WHERE customer_key != ''
        UNION ALL
        SELECT w.tenant, w.customer_key, c.case_id AS id
        FROM feedback_current AS w
        INNER JOIN
        (
            SELECT tenant, causation_id, case_id FROM feedback_current
            WHERE kind = 'case.opened' AND causation_id != '' AND customer_key = '' AND case_id != ''
        ) AS c ON c.tenant = w.tenant AND c.causation_id = concat(w.source, '#', w.source_event_id)
        WHERE w.customer_key != ''
    ) AS o ON o.tenant = e.tenant AND o.id = e.id
    -- An event may share its case and its conversation with the customer, and is told once.
    LIMIT 1 BY e.tenant, e.event_id, whose
) AS f
