-- What scheduling must know after a restart: what a task may wait for, how often it was started, and
-- until when it pauses. Spans are microseconds, 0 for "no limit".
ALTER TABLE applications
  ADD COLUMN requirements  jsonb  NOT NULL DEFAULT '{}',
  ADD COLUMN queue_timeout bigint NOT NULL DEFAULT 0 CHECK (queue_timeout >= 0);

ALTER TABLE tasks
  ADD COLUMN concurrency_group text    NOT NULL DEFAULT '',
  ADD COLUMN queue_timeout     bigint  NOT NULL DEFAULT 0 CHECK (queue_timeout >= 0),
  ADD COLUMN starts            integer NOT NULL DEFAULT 0 CHECK (starts >= 0),
  ADD COLUMN not_before        timestamptz,
  ADD COLUMN queued_since      timestamptz;

-- Earlier versions counted starts in memory; at least one more try is left, as they left it.
UPDATE tasks
   SET starts = least(attempt, 2), queued_since = created_at
 WHERE state IN ('queued', 'offered', 'running', 'unknown');

-- Whether another publish to the same place is under way.
CREATE INDEX tasks_publishing ON tasks (application_id, platform, target)
  WHERE kind = 'publish' AND state IN ('offered', 'running', 'unknown');
