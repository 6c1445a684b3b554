-- What an application may count on; see controller/artifacts/artifact_index.h.
CREATE TABLE blob_holds (
  application_id text     NOT NULL REFERENCES applications,
  digest         bytea    NOT NULL,
  -- 0 planned, 1 stored, 2 referenced: only ever rises while the hold lives.
  state          smallint NOT NULL CHECK (state BETWEEN 0 AND 2),
  until          timestamptz,
  PRIMARY KEY (application_id, digest)
);
CREATE INDEX blob_holds_of_digest ON blob_holds (digest);

-- Blobs that the garbage collection is about to delete.
CREATE TABLE blob_marks (
  digest    bytea       PRIMARY KEY,
  marked_at timestamptz NOT NULL
);

CREATE TABLE artifacts (
  application_id text        NOT NULL REFERENCES applications,
  manifest       bytea       NOT NULL,
  total_bytes    bigint      NOT NULL,
  file_count     bigint      NOT NULL,
  created_at     timestamptz NOT NULL,
  PRIMARY KEY (application_id, manifest)
);
CREATE INDEX artifacts_newest ON artifacts (application_id, created_at DESC, manifest);
