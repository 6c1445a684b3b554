-- People and machines, and what they may do: see controller/domain/account.h.
CREATE TABLE accounts (
  id              text        PRIMARY KEY,
  name            text        NOT NULL,
  -- As it is compared: without differences of case and width.
  name_key        text        NOT NULL UNIQUE,
  kind            text        NOT NULL CHECK (kind IN (
                    'developer', 'member', 'operator', 'admin', 'service')),
  state           text        NOT NULL DEFAULT 'active' CHECK (state IN (
                    'active', 'disabled', 'deleted')),
  full_name       text        NOT NULL DEFAULT '',
  department      text        NOT NULL DEFAULT '',
  post            text        NOT NULL DEFAULT '',
  employee_number text        NOT NULL DEFAULT '',
  email           text        NOT NULL DEFAULT '',
  -- argon2id with salt and cost; '' never fits.
  password_hash   text        NOT NULL DEFAULT '',
  epoch           bigint      NOT NULL DEFAULT 1,
  revision        bigint      NOT NULL DEFAULT 1,
  created_at      timestamptz NOT NULL,
  created_by      text        NOT NULL
);

CREATE TABLE groups (
  id          text   PRIMARY KEY,
  name        text   NOT NULL,
  name_key    text   NOT NULL UNIQUE,
  description text   NOT NULL,
  revision    bigint NOT NULL DEFAULT 1
);
CREATE TABLE group_members (
  group_id   text NOT NULL REFERENCES groups ON DELETE CASCADE,
  account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
  PRIMARY KEY (account_id, group_id)
);
CREATE INDEX group_members_of_group ON group_members (group_id);

CREATE TABLE grants (
  account_id     text   REFERENCES accounts ON DELETE CASCADE,
  group_id       text   REFERENCES groups ON DELETE CASCADE,
  application_id text   REFERENCES applications,  -- NULL: all
  environment    text   NOT NULL,
  pages          text   NOT NULL,
  operations     text[] NOT NULL CHECK (operations <> '{}'),
  CHECK (num_nonnulls(account_id, group_id) = 1),
  UNIQUE NULLS NOT DISTINCT (account_id, group_id, application_id, environment, pages)
);
CREATE INDEX grants_of_account ON grants (account_id, application_id) WHERE account_id IS NOT NULL;
CREATE INDEX grants_of_group ON grants (group_id, application_id) WHERE group_id IS NOT NULL;
CREATE INDEX grants_of_application ON grants (application_id);

-- What an account holds, by itself and through its groups.
CREATE VIEW held_grants AS
SELECT account_id, application_id, environment, pages, operations
  FROM grants WHERE account_id IS NOT NULL
UNION ALL
SELECT m.account_id, g.application_id, g.environment, g.pages, g.operations
  FROM group_members m JOIN grants g ON g.group_id = m.group_id;

CREATE TABLE logins (
  id           text        PRIMARY KEY,
  account_id   text        NOT NULL REFERENCES accounts,
  epoch        bigint      NOT NULL,
  generation   bigint      NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL,
  refreshed_at timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  address      text        NOT NULL,
  client       text        NOT NULL,
  ended_at     timestamptz,
  ended_why    text        NOT NULL DEFAULT ''
);
CREATE INDEX logins_live ON logins (account_id, created_at) WHERE ended_at IS NULL;

-- Tokens from before belong to accounts of the names that they had.
INSERT INTO accounts (id, name, name_key, kind, created_at, created_by)
SELECT 'acct-' || md5('account ' || account), account, lower(normalize(account, NFKC)),
       CASE WHEN bool_or(admin) THEN 'admin' ELSE 'service' END, min(created_at), 'migration'
  FROM api_tokens GROUP BY account
    ON CONFLICT DO NOTHING;
ALTER TABLE api_tokens
  ADD COLUMN id           text,
  ADD COLUMN account_id   text REFERENCES accounts,
  ADD COLUMN name         text   NOT NULL DEFAULT '',
  ADD COLUMN operations   text[] NOT NULL DEFAULT '{}',
  ADD COLUMN applications text[] NOT NULL DEFAULT '{}',
  ADD COLUMN expires_at   timestamptz,
  ADD COLUMN last_used_at timestamptz,
  ADD COLUMN revoked_at   timestamptz;
UPDATE api_tokens t
   SET id = 'token-' || left(token_hash, 26),
       account_id = (SELECT id FROM accounts WHERE name_key = lower(normalize(t.account, NFKC)));
ALTER TABLE api_tokens
  ALTER COLUMN id SET NOT NULL,
  ADD UNIQUE (id),
  ALTER COLUMN account_id SET NOT NULL,
  DROP COLUMN account,
  DROP COLUMN admin;
CREATE INDEX api_tokens_of_account ON api_tokens (account_id, created_at);
