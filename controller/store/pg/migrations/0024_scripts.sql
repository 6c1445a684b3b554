-- Scripts that people bring: a task of its own kind, whose run says what the script is called.
ALTER TABLE tasks DROP CONSTRAINT tasks_kind_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_kind_check
  CHECK (kind IN ('build', 'publish', 'probe', 'preview', 'script'));
ALTER TABLE runs ADD COLUMN script_name text NOT NULL DEFAULT '';
-- The script task that a run's builds were submitted after; '' for none.
ALTER TABLE runs ADD COLUMN after_script text NOT NULL DEFAULT '';

-- The scripts themselves, apart from what lists read.
CREATE TABLE run_scripts (
  run_id  text   PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  body    bytea  NOT NULL
);
