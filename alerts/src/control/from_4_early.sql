-- The fourth shape did not know at first when a notification was decided.
ALTER TABLE intents ADD COLUMN decided_at_ms INTEGER;
