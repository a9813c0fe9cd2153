-- The first shape had one thing per rule. Everything that was told and attempted stays.
ALTER TABLE incidents RENAME TO incidents_1;
ALTER TABLE intents RENAME TO intents_1;
ALTER TABLE ledger RENAME TO ledger_1;
