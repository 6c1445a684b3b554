-- Images that agents prepared for applications and shared: artifacts, of what lies over the builder
-- image.
CREATE TABLE prepared_images (
  application_id text        NOT NULL REFERENCES applications,
  name           text        NOT NULL,
  manifest       text        NOT NULL,
  shared_by      text        NOT NULL,
  shared_at      timestamptz NOT NULL,
  PRIMARY KEY (application_id, name)
);
CREATE INDEX prepared_images_by_manifest ON prepared_images (application_id, manifest);
