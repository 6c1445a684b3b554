-- Numbers of states of catalog objects. One sequence for all, so that an object made anew under an
-- old name never has a number that somebody has read before.
CREATE SEQUENCE catalog_revisions;

ALTER TABLE applications
  ADD COLUMN revision bigint NOT NULL DEFAULT nextval('catalog_revisions');

CREATE TABLE environments (
  name        text        PRIMARY KEY,
  description text        NOT NULL,
  position    integer     NOT NULL,
  revision    bigint      NOT NULL DEFAULT nextval('catalog_revisions'),
  created_at  timestamptz NOT NULL,
  created_by  text        NOT NULL
);
-- What grants were given for is there.
INSERT INTO environments (name, description, position, created_at, created_by)
SELECT DISTINCT environment, '', 0, now(), 'migration' FROM grants WHERE environment <> '';

CREATE TABLE targets (
  platform     text        NOT NULL,
  name         text        NOT NULL,
  environment  text        REFERENCES environments,  -- NULL: none
  image        text        NOT NULL,
  proxy        text        NOT NULL,
  ca_pem       text        NOT NULL,
  network      text        NOT NULL CHECK (network IN ('bridge', 'host')),
  deadline     bigint      NOT NULL CHECK (deadline > 0),
  requirements jsonb       NOT NULL,
  revision     bigint      NOT NULL DEFAULT nextval('catalog_revisions'),
  created_at   timestamptz NOT NULL,
  created_by   text        NOT NULL,
  PRIMARY KEY (platform, name)
);

-- What was created by which request, for some weeks, so that a call whose answer was lost can be
-- repeated.
CREATE TABLE creation_requests (
  account    text        NOT NULL,
  request_id text        NOT NULL CHECK (request_id <> ''),
  object     text        NOT NULL,
  key        text        NOT NULL,
  contents   text        NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (account, request_id)
);
CREATE INDEX creation_requests_at ON creation_requests (at);
