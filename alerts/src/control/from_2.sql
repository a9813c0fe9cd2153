-- Since the second shape: when people were told first, and what is owed to them.
CREATE TABLE owed (incident_id INTEGER NOT NULL REFERENCES incidents(id), entity TEXT NOT NULL, PRIMARY KEY (incident_id, entity)) STRICT;
PRAGMA user_version = 3;
