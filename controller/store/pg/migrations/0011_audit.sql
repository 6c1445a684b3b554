-- What lists are filtered by stands beside each entry, written with it: computing it from the entry
-- would parse that once per column. The check of the chain compares the two.
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
  sequence bigint      NOT NULL,
  entry    text        NOT NULL,
  hash     text        NOT NULL,
  at       timestamptz NOT NULL,
  actor    text        NOT NULL,
  action   text        NOT NULL,
  object   text        NOT NULL,
  subject  text        NOT NULL,
  -- Empty: it was done.
  reason   text        NOT NULL
);
INSERT INTO audit (sequence, entry, hash, at, actor, action, object, subject, reason)
SELECT sequence, entry, hash,
       coalesce(from_micros((entry::json ->> 'at')::bigint), timestamptz 'epoch'),
       coalesce(entry::json ->> 'actor', ''), coalesce(entry::json ->> 'action', ''), '',
       coalesce(entry::json ->> 'subject', ''), ''
  FROM audit_before
 ORDER BY sequence;
DROP TABLE audit_before;
ALTER TABLE audit ADD CONSTRAINT audit_pkey PRIMARY KEY (sequence);
-- But for those of every build, which are found at once among the newest rows.
CREATE INDEX audit_actions ON audit (action COLLATE "C", sequence)
  WHERE action NOT IN ('create_run', 'offer_task', 'start_task', 'finish_task');
CREATE INDEX audit_refusals ON audit (sequence) WHERE reason <> '';
-- A few bits per block instead of an entry per row, so that it costs next to nothing to append.
CREATE INDEX audit_blocks ON audit USING brin (at, actor text_bloom_ops, subject text_bloom_ops)
  WITH (pages_per_range = 32, autosummarize = on);

-- The end of the chain. Whoever appends locks it, so that appenders wait for each other; and rows
-- taken off the end show.
CREATE TABLE audit_head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  sequence bigint  NOT NULL,
  hash     text    NOT NULL
);
INSERT INTO audit_head (sequence, hash)
SELECT coalesce(max(sequence), 0),
       coalesce((SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1), '')
  FROM audit;

-- Nothing that was said is changed or taken back, by whomever: see docs/audit.md.
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is only ever appended to: no % of %', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON audit_head
  FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_head_rises BEFORE UPDATE ON audit_head
  FOR EACH ROW WHEN (NEW.sequence <= OLD.sequence) EXECUTE FUNCTION audit_stays();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_stays;
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_stays;
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_rises;
REVOKE ALL ON audit, audit_head FROM PUBLIC;
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM CURRENT_USER;
REVOKE DELETE, TRUNCATE ON audit_head FROM CURRENT_USER;
