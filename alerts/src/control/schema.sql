CREATE TABLE looks (rule_id TEXT PRIMARY KEY, evaluated_at_ms INTEGER NOT NULL, verdict TEXT NOT NULL) STRICT;
CREATE TABLE standings (
    rule_id TEXT NOT NULL, entity TEXT NOT NULL, label TEXT, phase TEXT NOT NULL, since_ms INTEGER NOT NULL,
    missing_since_ms INTEGER, is_missing_told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (rule_id, entity)
) STRICT;
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule_id TEXT NOT NULL, kind TEXT NOT NULL, group_key TEXT NOT NULL,
    severity TEXT NOT NULL, dedup_key TEXT NOT NULL UNIQUE, opened_at_ms INTEGER NOT NULL, resolved_at_ms INTEGER,
    title TEXT NOT NULL, suppressed_by TEXT, told_at_ms INTEGER, acknowledged_at_ms INTEGER, acknowledged_by TEXT
) STRICT;
CREATE UNIQUE INDEX one_open_incident ON incidents (rule_id, kind, group_key) WHERE resolved_at_ms IS NULL;
CREATE TABLE timeline (
    id INTEGER PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL REFERENCES incidents(id), at_ms INTEGER NOT NULL,
    event TEXT NOT NULL, actor TEXT NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE INDEX timeline_of_incident ON timeline (incident_id);
CREATE TABLE silences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule_id TEXT NOT NULL, entity TEXT NOT NULL, from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, origin TEXT UNIQUE
) STRICT;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL REFERENCES incidents(id), step INTEGER NOT NULL,
    action TEXT NOT NULL, route TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, not_before_ms INTEGER NOT NULL, sent_as TEXT, decided_at_ms INTEGER, UNIQUE (incident_id, step, route)
) STRICT;
CREATE INDEX pending_intents ON intents (id) WHERE state = 'pending';
CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, incident_id INTEGER NOT NULL, intent_id INTEGER, event TEXT NOT NULL,
    route TEXT NOT NULL, request TEXT NOT NULL, status INTEGER, answer TEXT NOT NULL, latency_ms INTEGER, previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
-- Things of an incident that joined it under a silence: they are told when that ends.
CREATE TABLE owed (incident_id INTEGER NOT NULL REFERENCES incidents(id), entity TEXT NOT NULL, PRIMARY KEY (incident_id, entity)) STRICT;
-- Levels of an escalation policy that were told after the first.
CREATE TABLE escalations (incident_id INTEGER NOT NULL REFERENCES incidents(id), level INTEGER NOT NULL, PRIMARY KEY (incident_id, level)) STRICT;
CREATE INDEX intents_by_state ON intents (route, state, id);
CREATE INDEX ledger_by_route ON ledger (route, sequence);
CREATE INDEX ledger_by_intent ON ledger (intent_id);
PRAGMA user_version = 5;
