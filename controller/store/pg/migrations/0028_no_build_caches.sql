-- Of runs whose builds begin with empty caches.
ALTER TABLE runs ADD COLUMN no_build_caches boolean NOT NULL DEFAULT false;
