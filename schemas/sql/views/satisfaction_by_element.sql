CREATE OR REPLACE VIEW satisfaction_by_element AS SELECT 1 AS one
