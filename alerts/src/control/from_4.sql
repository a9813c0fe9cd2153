-- Since the fourth shape: who was told when nobody took an incident, and ways to look at what is many.
CREATE TABLE IF NOT EXISTS escalations (
    incident_id INTEGER NOT NULL REFERENCES incidents(id), level INTEGER NOT NULL, PRIMARY KEY (incident_id, level)
) STRICT;
CREATE INDEX intents_by_state ON intents (route, state, id);
CREATE INDEX ledger_by_route ON ledger (route, sequence);
CREATE INDEX ledger_by_intent ON ledger (intent_id);
PRAGMA user_version = 5;
