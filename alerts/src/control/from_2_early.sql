-- The second shape did not know it in its first hours.
ALTER TABLE incidents ADD COLUMN told_at_ms INTEGER;
UPDATE incidents SET told_at_ms = opened_at_ms WHERE suppressed_by IS NULL;
