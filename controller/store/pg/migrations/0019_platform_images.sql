-- The image of a platform's code, which lists of tasks should not have to read.
CREATE TABLE platform_images (
  task_id    text     PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
  media_type text     NOT NULL CHECK (media_type IN ('image/png', 'image/jpeg')),
  -- Images are compressed already.
  image      bytea    NOT NULL CHECK (octet_length(image) BETWEEN 1 AND 131072)
);
ALTER TABLE platform_images ALTER COLUMN image SET STORAGE EXTERNAL;
