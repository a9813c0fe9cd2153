-- Since the third shape: what Slack knows a message by, when it was decided, which answer of a person made a silence, and who was
-- told when nobody took an incident.
ALTER TABLE intents ADD COLUMN sent_as TEXT;
ALTER TABLE intents ADD COLUMN decided_at_ms INTEGER;
ALTER TABLE silences ADD COLUMN origin TEXT;
CREATE UNIQUE INDEX silence_origin ON silences (origin);
CREATE TABLE escalations (incident_id INTEGER NOT NULL REFERENCES incidents(id), level INTEGER NOT NULL, PRIMARY KEY (incident_id, level)) STRICT;
PRAGMA user_version = 4;
