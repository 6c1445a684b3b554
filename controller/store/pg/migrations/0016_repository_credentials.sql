-- What private repositories are read with. `sealed` opens only with the farm's key, which is not in
-- this database; everything else may be told to whoever sees the application.
CREATE TABLE repository_credentials (
  application_id text        PRIMARY KEY REFERENCES applications ON DELETE CASCADE,
  access         text        NOT NULL CHECK (access IN ('https', 'ssh')),
  username       text        NOT NULL,
  fingerprint    text        NOT NULL,
  pinned_hosts   boolean     NOT NULL,
  sealed         text        NOT NULL,
  digest         text        NOT NULL,
  set_at         timestamptz NOT NULL,
  set_by         text        NOT NULL
);
