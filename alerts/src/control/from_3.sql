-- Since the third shape: what Slack knows a message by, when it was decided, and which answer of a person made a silence.
ALTER TABLE intents ADD COLUMN sent_as TEXT;
ALTER TABLE intents ADD COLUMN decided_at_ms INTEGER;
ALTER TABLE silences ADD COLUMN origin TEXT;
CREATE UNIQUE INDEX silence_origin ON silences (origin);
PRAGMA user_version = 4;
