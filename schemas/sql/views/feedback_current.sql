-- The rows that count: those of the live generation, without those that another event has taken the place of, those that
-- were taken back, and those of customers who asked to be forgotten. The kind is a key of the projection, so that leaving
-- rows out by it costs the figures nothing. Every other view reads this one, so that a new classification goes
-- live, or back, by replacing this single view: readers see the old labels or the new ones, never a mixture. Its columns are
-- those of the table with their comments, put in from the table's own statements, so that they are written once.
CREATE OR REPLACE VIEW feedback_current /*columns*/
AS
SELECT * FROM feedback WHERE generation = /*live*/1 AND kind NOT IN ('superseded', 'erased', 'feedback.deleted')
