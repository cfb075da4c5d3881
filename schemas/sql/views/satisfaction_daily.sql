CREATE OR REPLACE VIEW satisfaction_daily AS SELECT 1 AS one
