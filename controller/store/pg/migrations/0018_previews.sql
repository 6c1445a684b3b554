-- A test package for the platform: made as often as somebody wants one.
ALTER TABLE tasks DROP CONSTRAINT tasks_kind_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_kind_check CHECK (kind IN ('build', 'publish', 'probe', 'preview'));
