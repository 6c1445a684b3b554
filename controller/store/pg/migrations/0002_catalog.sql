-- Programs speak of times as microseconds since 1970, 0 for "not yet"; people read timestamps.
CREATE FUNCTION from_micros(bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
  $$ SELECT timestamptz 'epoch' + nullif($1, 0) * interval '1 microsecond' $$;
CREATE FUNCTION to_micros(timestamptz) RETURNS bigint LANGUAGE sql STABLE AS
  $$ SELECT coalesce((extract(epoch FROM $1) * 1000000)::bigint, 0) $$;

CREATE TABLE farm (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  id       text    NOT NULL
);

CREATE TABLE applications (
  id          text        PRIMARY KEY,
  name        text        NOT NULL UNIQUE,
  repository  text        NOT NULL,
  description text        NOT NULL,
  created_at  timestamptz NOT NULL,
  created_by  text        NOT NULL
);

CREATE TABLE agents (
  id                      text        PRIMARY KEY,
  name                    text        NOT NULL UNIQUE,
  labels                  jsonb       NOT NULL,
  certificate_fingerprint text        NOT NULL,
  certificate_not_after   timestamptz,
  joined_at               timestamptz NOT NULL,
  last_seen               timestamptz,
  revoked                 boolean     NOT NULL
);

-- A used token stays, so that who joined by it can be told.
CREATE TABLE join_tokens (
  token_hash text        PRIMARY KEY,
  created_at timestamptz NOT NULL,
  created_by text        NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  used_by    text        REFERENCES agents
);

CREATE TABLE api_tokens (
  token_hash text        PRIMARY KEY,
  account    text        NOT NULL,
  admin      boolean     NOT NULL,
  created_at timestamptz NOT NULL
);
