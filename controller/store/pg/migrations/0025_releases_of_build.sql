-- A product may be handed over by runs of its own, long after it was built.
CREATE INDEX releases_of_build ON releases (build_task, sequence);
