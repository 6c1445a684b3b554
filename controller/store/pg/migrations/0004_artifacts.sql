-- Who may count on which blob; see controller/artifacts/artifact_index.h for the three states.
CREATE TABLE blob_holds (
  application_id text        NOT NULL REFERENCES applications,
  digest         bytea       NOT NULL CHECK (length(digest) = 32),
  -- 1 planned, 2 stored, 3 referenced; only rises.
  state          smallint    NOT NULL CHECK (state BETWEEN 1 AND 3),
  -- End of a planned or stored hold; says nothing of a referenced one.
  held_until     timestamptz NOT NULL,
  PRIMARY KEY (application_id, digest)
);

-- Blobs that the garbage collection is about to delete: they count as absent until stored again.
CREATE TABLE blob_marks (
  digest    bytea       PRIMARY KEY CHECK (length(digest) = 32),
  marked_at timestamptz NOT NULL
);

CREATE TABLE artifacts (
  application_id text        NOT NULL REFERENCES applications,
  manifest       bytea       NOT NULL CHECK (length(manifest) = 32),
  total_bytes    bigint      NOT NULL,
  file_count     bigint      NOT NULL,
  created_at     timestamptz NOT NULL,
  PRIMARY KEY (application_id, manifest)
);
CREATE INDEX artifacts_by_age ON artifacts (application_id, created_at DESC);
