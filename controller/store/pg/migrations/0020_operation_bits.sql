-- Which operations a sum of grants holds, as bits: comparing arrays of names was most of what counting an account's applications cost.
CREATE FUNCTION operation_bits(operations text[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(bit_or(1 << (array_position(
           ARRAY['view', 'run_script', 'package', 'preview', 'publish', 'approve', 'deploy', 'manage'], operation) - 1)), 0)
    FROM unnest(operations) AS operation
$$;
ALTER TABLE granted_applications ADD COLUMN bits integer NOT NULL GENERATED ALWAYS AS (operation_bits(operations)) STORED;
