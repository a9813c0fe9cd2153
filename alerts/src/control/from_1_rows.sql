INSERT INTO incidents (id, rule_id, kind, group_key, severity, dedup_key, opened_at_ms, resolved_at_ms, title, told_at_ms)
    SELECT id, rule_id, 'breach', 'all', 'critical', dedup_key, opened_at_ms, resolved_at_ms, title, opened_at_ms FROM incidents_1;
INSERT INTO standings (rule_id, entity, phase, since_ms) SELECT rule_id, 'all', state, evaluated_at_ms FROM rule_state;
INSERT INTO intents (id, incident_id, step, action, route, body, state, reason, attempts, not_before_ms)
    SELECT id, incident_id, CASE action WHEN 'trigger' THEN 1 ELSE 2 END, action, route, body, state, reason, attempts, not_before_ms
    FROM intents_1;
INSERT INTO ledger SELECT * FROM ledger_1;
DROP TABLE ledger_1;
DROP TABLE intents_1;
DROP TABLE incidents_1;
DROP TABLE rule_state;
