-- What the builds of a run are told, as submitted: an object of texts.
ALTER TABLE runs ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}';
