-- Since the third shape: what Slack knows a message by, and which answer of a person made a silence.
ALTER TABLE intents ADD COLUMN sent_as TEXT;
ALTER TABLE silences ADD COLUMN origin TEXT;
CREATE UNIQUE INDEX silence_origin ON silences (origin);
PRAGMA user_version = 4;
