-- When each version was packaged for a platform: how often that was within the hot cache's window
-- decides whether its products are at hand. What is older is deleted.
CREATE TABLE packagings (
  application_id text        NOT NULL,
  commit_id      text        NOT NULL,
  platform       text        NOT NULL,
  packaged_at    timestamptz NOT NULL,
  task_id        text        NOT NULL,
  PRIMARY KEY (application_id, commit_id, platform, packaged_at, task_id)
);
-- Rows come in the order of their time, so a summary of pages finds the old ones.
CREATE INDEX packagings_by_time ON packagings USING brin (packaged_at);

-- What was last behind the name of each builder image when a build ran in it.
CREATE TABLE builder_images (
  image  text PRIMARY KEY,
  digest text NOT NULL
);
