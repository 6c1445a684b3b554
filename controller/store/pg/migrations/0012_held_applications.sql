-- What grants come to for each application, whatever their environments and pages: lists ask this for what somebody sees,
-- and a row of it stands for all of an application's grants. Kept by the triggers below, in the transaction of each change.
CREATE TABLE granted_applications (
  account_id     text   REFERENCES accounts ON DELETE CASCADE,
  group_id       text   REFERENCES groups ON DELETE CASCADE,
  application_id text   REFERENCES applications,  -- NULL: all
  operations     text[] NOT NULL,
  UNIQUE NULLS NOT DISTINCT (account_id, application_id, group_id)
);
CREATE INDEX granted_applications_of_group ON granted_applications (group_id, application_id)
  WHERE group_id IS NOT NULL;

INSERT INTO granted_applications
SELECT account_id, group_id, application_id, array_agg(DISTINCT operation ORDER BY operation)
  FROM grants, unnest(operations) AS operation GROUP BY account_id, group_id, application_id;

-- Of the rows in `changed`, a transition table. Each kind of row is looked for by itself, because IS NOT DISTINCT FROM
-- knows no index.
CREATE FUNCTION granted_applications_follow() RETURNS trigger LANGUAGE plpgsql AS $$
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
  INSERT INTO granted_applications
  SELECT c.account_id, c.group_id, c.application_id, array_agg(DISTINCT operation ORDER BY operation)
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
   GROUP BY c.account_id, c.group_id, c.application_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER granted_applications_insert AFTER INSERT ON grants REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION granted_applications_follow();
CREATE TRIGGER granted_applications_update AFTER UPDATE ON grants REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION granted_applications_follow();
CREATE TRIGGER granted_applications_delete AFTER DELETE ON grants REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION granted_applications_follow();

-- What an account holds of each application, by itself and through its groups.
CREATE VIEW held_applications AS
SELECT account_id, application_id, operations
  FROM granted_applications WHERE account_id IS NOT NULL
UNION ALL
SELECT m.account_id, g.application_id, g.operations
  FROM group_members m JOIN granted_applications g ON g.group_id = m.group_id;
