-- The rows that count: those of the live generation. Every other view reads this one, so that a new classification goes
-- live, or back, by replacing this single view: readers see the old labels or the new ones, never a mixture.
CREATE OR REPLACE VIEW feedback_current AS
SELECT * FROM feedback WHERE generation = /*live*/1
