-- What operators want of an agent, see controller/domain/agent.h; and the certificate that is to
-- replace the one in use.
ALTER TABLE agents
  ADD COLUMN mode                  text NOT NULL DEFAULT 'active' CHECK (mode IN (
                                     'active', 'paused', 'draining', 'retiring', 'retired',
                                     'revoked')),
  ADD COLUMN mode_reason           text NOT NULL DEFAULT '',
  ADD COLUMN mode_by               text NOT NULL DEFAULT '',
  ADD COLUMN mode_since            timestamptz,
  ADD COLUMN mode_until            timestamptz,
  ADD COLUMN successor_fingerprint text NOT NULL DEFAULT '',
  ADD COLUMN successor_not_after   timestamptz,
  ADD COLUMN successor_since       timestamptz;
UPDATE agents SET mode = 'revoked' WHERE revoked;
ALTER TABLE agents DROP COLUMN revoked;

-- A name is free again when its agent has left the farm.
ALTER TABLE agents DROP CONSTRAINT agents_name_key;
CREATE UNIQUE INDEX agents_name ON agents (name) WHERE mode NOT IN ('retired', 'revoked');

ALTER TABLE join_tokens
  ADD COLUMN revoked_at timestamptz,
  ADD COLUMN revoked_by text NOT NULL DEFAULT '';
CREATE INDEX join_tokens_by_age ON join_tokens (created_at);
