-- Targets at which the controller itself hands products on: how (an object), NULL for platforms;
-- and what it proves itself with there, sealed for the farm, '' for none.
ALTER TABLE targets ADD COLUMN channel jsonb;
ALTER TABLE targets ADD COLUMN sealed_secret text NOT NULL DEFAULT '';
ALTER TABLE targets ADD CHECK ((channel IS NOT NULL) = (platform IN ('email', 'page')));
ALTER TABLE targets ADD CHECK (channel IS NOT NULL OR sealed_secret = '');

-- Who gets what a run hands on, beside those that a channel names: an object from "platform/name"
-- to addresses with commas between them.
ALTER TABLE runs ADD COLUMN recipients jsonb NOT NULL DEFAULT '{}';

-- Pages at which a product can be had by whoever knows their address, of which only the hash is
-- kept. One per publish to a channel.
CREATE TABLE release_pages (
  task_id     text        PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
  token_hash  bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  -- The package behind it, which lies in the controller's folder of packages.
  file        text        NOT NULL,
  file_name   text        NOT NULL,
  sha256      bytea       NOT NULL CHECK (octet_length(sha256) = 32),
  bytes       bigint      NOT NULL CHECK (bytes >= 0),
  language    text        NOT NULL,
  made_at     timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL
);
CREATE INDEX release_pages_expires ON release_pages (expires_at);
