-- How the outcome of a publish that nobody knew was found out.
CREATE TABLE publish_resolutions (
  task_id        text        PRIMARY KEY REFERENCES tasks,
  attempt        bigint      NOT NULL,
  verdict        text        NOT NULL CHECK (verdict IN ('published', 'not_published')),
  resolved_by    text        NOT NULL,
  resolved_at    timestamptz NOT NULL,
  -- The probe that found it out; null: a person's word.
  probe_task     text        REFERENCES tasks,
  reason         text        NOT NULL,
  -- What was known before.
  unknown_result jsonb,
  -- The attempt's own word, when it came afterwards.
  late_result    jsonb,
  late_at        timestamptz
);

-- Permits of before this migration: the longest deadline that a target can have.
ALTER TABLE publish_permits ADD COLUMN deadline_micros bigint NOT NULL DEFAULT 7200000000;
ALTER TABLE publish_permits ALTER COLUMN deadline_micros DROP DEFAULT;
-- Since when nothing can be published any more, and whether the attempt said its last word.
ALTER TABLE publish_permits ADD COLUMN client_ended_at timestamptz;
ALTER TABLE publish_permits ADD COLUMN reported boolean NOT NULL DEFAULT false;

-- A probe asks the platform what became of the publish that it depends on.
ALTER TABLE tasks DROP CONSTRAINT tasks_kind_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_kind_check CHECK (kind IN ('build', 'publish', 'probe'));
