-- What a change has taken over from what was said first, so that new words count where and when the old ones did: marks of clocks,
-- threads and steps of the loop are read from here. The row itself stays as its event was. Written by whoever lets changes take
-- effect, with the rest of the marks, and never by an insert of a new event.
ALTER TABLE feedback
    ADD COLUMN IF NOT EXISTS said_first Map(String, String) COMMENT 'Of a change, what was said first was: ref (source#id), occurred_at and promise_due (Unix milliseconds), kind, actor_kind, visibility, case_id, conversation_id, correlation_id, causation_id, product_id, verdict, outcome, decision_text. Of a row that another has taken the place of, its kind. Empty: it stands for itself.' AFTER new_value
