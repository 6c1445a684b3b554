-- The tasks that are not over, by themselves: no index of `tasks` names a state any more, so that a
-- change of state rewrites no index entry, and what is over costs nothing at a takeover.
-- Of a publish also where it goes, for the question whether another one is under way there.
CREATE TABLE unfinished (
  task_id        text PRIMARY KEY,
  application_id text,
  platform       text,
  target         text
);
CREATE INDEX unfinished_publishes ON unfinished (application_id, platform, target)
  WHERE application_id IS NOT NULL;

INSERT INTO unfinished (task_id, application_id, platform, target)
SELECT id,
       CASE kind WHEN 'publish' THEN application_id END,
       CASE kind WHEN 'publish' THEN platform END,
       CASE kind WHEN 'publish' THEN target END
  FROM tasks
 WHERE state IN ('waiting', 'queued', 'offered', 'running', 'unknown');

DROP INDEX tasks_unfinished;
DROP INDEX tasks_publishing;
-- Room for the versions of a row on its own page.
ALTER TABLE tasks SET (fillfactor = 60);
