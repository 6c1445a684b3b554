CREATE TABLE runs (
  id             text        PRIMARY KEY,
  application_id text        NOT NULL REFERENCES applications,
  ref            text        NOT NULL,
  version        text        NOT NULL,
  description    text        NOT NULL,
  submitted_by   text        NOT NULL,
  submitted_at   timestamptz NOT NULL,
  request_id     text        NOT NULL CHECK (request_id <> ''),
  UNIQUE (submitted_by, request_id)
);

CREATE TABLE tasks (
  id               text        PRIMARY KEY,
  -- Order of creation; what pages of a list continue from.
  sequence         bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,
  run_id           text        NOT NULL REFERENCES runs,
  application_id   text        NOT NULL REFERENCES applications,
  kind             text        NOT NULL CHECK (kind IN ('build', 'publish')),
  platform         text        NOT NULL,
  target           text        NOT NULL,
  depends_on       text        REFERENCES tasks,
  requirements     jsonb       NOT NULL,
  priority         integer     NOT NULL,
  state            text        NOT NULL CHECK (state IN (
                     'waiting', 'queued', 'offered', 'running', 'succeeded', 'failed', 'canceled',
                     'skipped', 'unknown')),
  -- Number and agent of the newest lease.
  attempt          bigint      NOT NULL CHECK (attempt >= 0),
  agent_id         text        NOT NULL,
  cancel_requested boolean     NOT NULL,
  created_at       timestamptz NOT NULL,
  offer_deadline   timestamptz,
  started_at       timestamptz,
  finished_at      timestamptz,
  -- Of the newest attempt that reported; see controller/store/pg/result_json.h.
  result           jsonb
);
CREATE INDEX tasks_unfinished ON tasks (sequence)
  WHERE state IN ('waiting', 'queued', 'offered', 'running', 'unknown');
CREATE INDEX tasks_of_run ON tasks (run_id, sequence);
CREATE INDEX tasks_of_application ON tasks (application_id, sequence);

CREATE TABLE steps (
  task_id     text        NOT NULL REFERENCES tasks,
  attempt     bigint      NOT NULL,
  number      integer     NOT NULL,
  name        text        NOT NULL,
  state       text        NOT NULL CHECK (state IN ('started', 'succeeded', 'failed')),
  started_at  timestamptz,
  finished_at timestamptz,
  detail      text        NOT NULL,
  PRIMARY KEY (task_id, attempt, number)
);

-- One per task, for ever: the key is the proof that a publish is permitted at most once.
CREATE TABLE publish_permits (
  task_id    text        PRIMARY KEY REFERENCES tasks,
  attempt    bigint      NOT NULL,
  nonce      text        NOT NULL UNIQUE,
  manifest   text        NOT NULL,
  not_after  timestamptz NOT NULL
);

CREATE TABLE releases (
  id             text        PRIMARY KEY,
  sequence       bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,
  run_id         text        NOT NULL REFERENCES runs,
  publish_task   text        NOT NULL UNIQUE REFERENCES tasks,
  build_task     text        NOT NULL REFERENCES tasks,
  application_id text        NOT NULL REFERENCES applications,
  platform       text        NOT NULL,
  target         text        NOT NULL,
  version        text        NOT NULL,
  commit_id      text        NOT NULL,
  manifest       text        NOT NULL,
  link           text        NOT NULL,
  qr_text        text        NOT NULL,
  released_at    timestamptz NOT NULL,
  released_by    text        NOT NULL
);
CREATE INDEX releases_of_application ON releases (application_id, sequence);

-- Append-only. `hash` is the SHA-256 of the row before's hash and of `entry`, so that a row changed
-- or removed later shows.
CREATE TABLE audit (
  sequence bigint PRIMARY KEY,
  entry    text   NOT NULL,
  hash     text   NOT NULL
);
