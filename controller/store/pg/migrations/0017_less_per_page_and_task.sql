-- What an account was granted, by name: a page of a list is read off an index instead of sorting all that is seen.
CREATE UNIQUE INDEX applications_named ON applications (id, name);
CREATE INDEX applications_by_name ON applications (name COLLATE "C");
ALTER TABLE granted_applications ADD COLUMN application_name text COLLATE "C";
UPDATE granted_applications g
   SET application_name = (SELECT name FROM applications WHERE id = g.application_id);
ALTER TABLE granted_applications
  DROP CONSTRAINT granted_applications_application_id_fkey,
  ADD FOREIGN KEY (application_id, application_name) REFERENCES applications (id, name)
      MATCH FULL ON UPDATE CASCADE;
CREATE INDEX granted_applications_by_name ON granted_applications (account_id, application_name)
  WHERE account_id IS NOT NULL;
CREATE INDEX granted_applications_of_group_by_name ON granted_applications (group_id, application_name)
  WHERE group_id IS NOT NULL;

-- As before, with the name.
CREATE OR REPLACE FUNCTION granted_applications_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- One writer at a time, or two who take a right each would both sum up what the other took. Readers do not wait.
  LOCK TABLE granted_applications IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM granted_applications WHERE ctid IN (
    SELECT a.ctid FROM (SELECT DISTINCT account_id, group_id, application_id FROM changed) AS c, LATERAL (
      SELECT g.ctid FROM granted_applications g WHERE g.account_id = c.account_id AND g.application_id = c.application_id
      UNION ALL
      SELECT g.ctid FROM granted_applications g
       WHERE g.account_id = c.account_id AND g.application_id IS NULL AND c.application_id IS NULL
      UNION ALL
      SELECT g.ctid FROM granted_applications g WHERE g.group_id = c.group_id AND g.application_id = c.application_id
      UNION ALL
      SELECT g.ctid FROM granted_applications g
       WHERE g.group_id = c.group_id AND g.application_id IS NULL AND c.application_id IS NULL) AS a);
  INSERT INTO granted_applications (account_id, group_id, application_id, application_name, operations)
  SELECT s.account_id, s.group_id, s.application_id,
         (SELECT name FROM applications WHERE id = s.application_id), s.operations
    FROM (SELECT c.account_id, c.group_id, c.application_id, array_agg(DISTINCT operation ORDER BY operation) AS operations
    FROM (SELECT DISTINCT account_id, group_id, application_id FROM changed) AS c, LATERAL (
      SELECT operations FROM grants g WHERE g.account_id = c.account_id AND g.application_id = c.application_id
      UNION ALL
      SELECT operations FROM grants g
       WHERE g.account_id = c.account_id AND g.application_id IS NULL AND c.application_id IS NULL
      UNION ALL
      SELECT operations FROM grants g WHERE g.group_id = c.group_id AND g.application_id = c.application_id
      UNION ALL
      SELECT operations FROM grants g
       WHERE g.group_id = c.group_id AND g.application_id IS NULL AND c.application_id IS NULL) AS g,
         unnest(g.operations) AS operation
   GROUP BY c.account_id, c.group_id, c.application_id) AS s;
  RETURN NULL;
END
$$;

-- A task is of a run of its application, and what it depends on is a task. Looked at once for all rows of a statement: doing it
-- row by row was a sixth of what storing a run costs. A run is not seen, so that nobody can take it away, before the statement
-- that makes it and its tasks is committed.
ALTER TABLE tasks
  DROP CONSTRAINT tasks_run_id_fkey,
  DROP CONSTRAINT tasks_application_id_fkey,
  DROP CONSTRAINT tasks_depends_on_fkey;
CREATE FUNCTION tasks_refer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- OFFSET 0: looked up one by one; a plan made while the tables were small would read all of them for good.
  IF EXISTS (SELECT FROM added t
              WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = t.run_id AND r.application_id = t.application_id OFFSET 0)
                 OR (t.depends_on IS NOT NULL AND NOT EXISTS (SELECT FROM tasks d WHERE d.id = t.depends_on OFFSET 0))) THEN
    RAISE EXCEPTION 'a task is of no run of its application, or depends on no task' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION tasks_are_left() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (TG_TABLE_NAME = 'runs' AND EXISTS (SELECT FROM tasks t WHERE t.run_id IN (SELECT id FROM removed)))
     OR (TG_TABLE_NAME = 'tasks' AND EXISTS (SELECT FROM tasks t WHERE t.depends_on IN (SELECT id FROM removed))) THEN
    RAISE EXCEPTION 'tasks are left that refer to what was removed from %', TG_TABLE_NAME
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION references_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what tasks and runs refer to each other by never changes' USING ERRCODE = 'foreign_key_violation';
END
$$;
CREATE TRIGGER tasks_refer AFTER INSERT ON tasks REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION tasks_refer();
CREATE TRIGGER tasks_left_of_run AFTER DELETE ON runs REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION tasks_are_left();
CREATE TRIGGER tasks_left_of_task AFTER DELETE ON tasks REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION tasks_are_left();
CREATE TRIGGER references_stay BEFORE UPDATE OF id, run_id, application_id, depends_on ON tasks
  FOR EACH STATEMENT EXECUTE FUNCTION references_stay();
CREATE TRIGGER references_stay BEFORE UPDATE OF id, application_id ON runs
  FOR EACH STATEMENT EXECUTE FUNCTION references_stay();
