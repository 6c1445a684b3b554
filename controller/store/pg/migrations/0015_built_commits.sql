-- The newest build of each commit that succeeded and whose product is archived: what people choose
-- from says of each version whether it is built. A table of its own, because an index of `tasks`
-- over what a build reports would have each change of state rewrite the entries of all indexes.
CREATE TABLE built_commits (
  application_id text NOT NULL,
  commit_id      text NOT NULL,
  platform       text NOT NULL,
  task_id        text NOT NULL,
  PRIMARY KEY (application_id, commit_id, platform)
) WITH (fillfactor = 80);

INSERT INTO built_commits (application_id, commit_id, platform, task_id)
SELECT DISTINCT ON (application_id, result -> 'build' ->> 'commit', platform)
       application_id, result -> 'build' ->> 'commit', platform, id
  FROM tasks
 WHERE kind = 'build' AND state = 'succeeded' AND result -> 'build' ->> 'commit' <> ''
 ORDER BY application_id, result -> 'build' ->> 'commit', platform, sequence DESC;
