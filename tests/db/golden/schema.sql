CREATE FUNCTION public.audit_stays() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is only ever appended to: no % of %', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE FUNCTION public.from_micros(bigint) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $_$ SELECT timestamptz 'epoch' + nullif($1, 0) * interval '1 microsecond' $_$;
CREATE FUNCTION public.granted_applications_follow() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  -- One writer at a time, or two who take a right each would both sum up what the other took. Readers do not wait.
  LOCK TABLE granted_applications IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM granted_applications WHERE ctid IN (
    SELECT a.ctid FROM (SELECT DISTINCT account_id, group_id, application_id FROM changed) AS c, LATERAL (
      SELECT g.ctid FROM granted_applications g WHERE g.account_id = c.account_id AND g.application_id = c.application_id
      UNION ALL
      SELECT g.ctid FROM granted_applications g
       WHERE g.account_id = c.account_id AND g.application_id IS NULL AND c.application_id IS NULL
      UNION ALL
      SELECT g.ctid FROM granted_applications g WHERE g.group_id = c.group_id AND g.application_id = c.application_id
      UNION ALL
      SELECT g.ctid FROM granted_applications g
       WHERE g.group_id = c.group_id AND g.application_id IS NULL AND c.application_id IS NULL) AS a);
  INSERT INTO granted_applications (account_id, group_id, application_id, application_name, operations)
  SELECT s.account_id, s.group_id, s.application_id,
         (SELECT name FROM applications WHERE id = s.application_id), s.operations
    FROM (SELECT c.account_id, c.group_id, c.application_id, array_agg(DISTINCT operation ORDER BY operation) AS operations
    FROM (SELECT DISTINCT account_id, group_id, application_id FROM changed) AS c, LATERAL (
      SELECT operations FROM grants g WHERE g.account_id = c.account_id AND g.application_id = c.application_id
      UNION ALL
      SELECT operations FROM grants g
       WHERE g.account_id = c.account_id AND g.application_id IS NULL AND c.application_id IS NULL
      UNION ALL
      SELECT operations FROM grants g WHERE g.group_id = c.group_id AND g.application_id = c.application_id
      UNION ALL
      SELECT operations FROM grants g
       WHERE g.group_id = c.group_id AND g.application_id IS NULL AND c.application_id IS NULL) AS g,
         unnest(g.operations) AS operation
   GROUP BY c.account_id, c.group_id, c.application_id) AS s;
  RETURN NULL;
END
$$;
CREATE FUNCTION public.is_channel(platform text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (platform = ANY (ARRAY['email'::text, 'page'::text, 'webhook'::text, 'wecom'::text, 'dingtalk'::text, 'feishu'::text]));
CREATE FUNCTION public.operation_bits(operations text[]) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT coalesce(bit_or(1 << (array_position(
           ARRAY['view', 'run_script', 'package', 'preview', 'publish', 'approve', 'deploy', 'manage'], operation) - 1)), 0)
    FROM unnest(operations) AS operation
$$;
CREATE FUNCTION public.references_stay() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'what tasks and runs refer to each other by never changes' USING ERRCODE = 'foreign_key_violation';
END
$$;
CREATE FUNCTION public.tasks_are_left() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF (TG_TABLE_NAME = 'runs' AND EXISTS (SELECT FROM tasks t WHERE t.run_id IN (SELECT id FROM removed)))
     OR (TG_TABLE_NAME = 'tasks' AND EXISTS (SELECT FROM tasks t WHERE t.depends_on IN (SELECT id FROM removed))) THEN
    RAISE EXCEPTION 'tasks are left that refer to what was removed from %', TG_TABLE_NAME
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION public.tasks_refer() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  -- OFFSET 0: looked up one by one; a plan made while the tables were small would read all of them for good.
  IF EXISTS (SELECT FROM added t
              WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = t.run_id AND r.application_id = t.application_id OFFSET 0)
                 OR (t.depends_on IS NOT NULL AND NOT EXISTS (SELECT FROM tasks d WHERE d.id = t.depends_on OFFSET 0))) THEN
    RAISE EXCEPTION 'a task is of no run of its application, or depends on no task' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION public.to_micros(timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    AS $_$ SELECT coalesce((extract(epoch FROM $1) * 1000000)::bigint, 0) $_$;
CREATE TABLE public.accounts (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    full_name text DEFAULT ''::text NOT NULL,
    department text DEFAULT ''::text NOT NULL,
    post text DEFAULT ''::text NOT NULL,
    employee_number text DEFAULT ''::text NOT NULL,
    email text DEFAULT ''::text NOT NULL,
    password_hash text DEFAULT ''::text NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    revision bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    CONSTRAINT accounts_kind_check CHECK ((kind = ANY (ARRAY['developer'::text, 'member'::text, 'operator'::text, 'admin'::text, 'service'::text]))),
    CONSTRAINT accounts_state_check CHECK ((state = ANY (ARRAY['active'::text, 'disabled'::text, 'deleted'::text])))
);
CREATE TABLE public.agents (
    id text NOT NULL,
    name text NOT NULL,
    labels jsonb NOT NULL,
    certificate_fingerprint text NOT NULL,
    certificate_not_after timestamp with time zone,
    joined_at timestamp with time zone NOT NULL,
    last_seen timestamp with time zone,
    mode text DEFAULT 'active'::text NOT NULL,
    mode_reason text DEFAULT ''::text NOT NULL,
    mode_by text DEFAULT ''::text NOT NULL,
    mode_since timestamp with time zone,
    mode_until timestamp with time zone,
    successor_fingerprint text DEFAULT ''::text NOT NULL,
    successor_not_after timestamp with time zone,
    successor_since timestamp with time zone,
    CONSTRAINT agents_mode_check CHECK ((mode = ANY (ARRAY['active'::text, 'paused'::text, 'draining'::text, 'retiring'::text, 'retired'::text, 'revoked'::text])))
);
CREATE TABLE public.api_tokens (
    token_hash text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    id text NOT NULL,
    account_id text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    operations text[] DEFAULT '{}'::text[] NOT NULL,
    applications text[] DEFAULT '{}'::text[] NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone
);
CREATE SEQUENCE public.catalog_revisions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE public.applications (
    id text NOT NULL,
    name text NOT NULL,
    repository text NOT NULL,
    description text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    requirements jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue_timeout bigint DEFAULT 0 NOT NULL,
    revision bigint DEFAULT nextval('public.catalog_revisions'::regclass) NOT NULL,
    CONSTRAINT applications_queue_timeout_check CHECK ((queue_timeout >= 0))
);
CREATE TABLE public.artifacts (
    application_id text NOT NULL,
    manifest bytea NOT NULL,
    total_bytes bigint NOT NULL,
    file_count bigint NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.audit (
    sequence bigint NOT NULL,
    entry text NOT NULL,
    hash text NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.audit_head (
    only_row boolean DEFAULT true NOT NULL,
    sequence bigint NOT NULL,
    hash text NOT NULL,
    CONSTRAINT audit_head_only_row_check CHECK (only_row)
);
CREATE TABLE public.blob_holds (
    application_id text NOT NULL,
    digest bytea NOT NULL,
    state smallint NOT NULL,
    until timestamp with time zone,
    CONSTRAINT blob_holds_state_check CHECK (((state >= 0) AND (state <= 2)))
);
CREATE TABLE public.blob_marks (
    digest bytea NOT NULL,
    marked_at timestamp with time zone NOT NULL
);
CREATE TABLE public.builder_images (
    image text NOT NULL,
    digest text NOT NULL
);
CREATE TABLE public.built_commits (
    application_id text NOT NULL,
    commit_id text NOT NULL,
    platform text NOT NULL,
    task_id text NOT NULL
)
WITH (fillfactor='80');
CREATE TABLE public.creation_requests (
    account text NOT NULL,
    request_id text NOT NULL,
    object text NOT NULL,
    key text NOT NULL,
    contents text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT creation_requests_request_id_check CHECK ((request_id <> ''::text))
);
CREATE TABLE public.environments (
    name text NOT NULL,
    description text NOT NULL,
    "position" integer NOT NULL,
    revision bigint DEFAULT nextval('public.catalog_revisions'::regclass) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL
);
CREATE TABLE public.farm (
    only_row boolean DEFAULT true NOT NULL,
    id text NOT NULL,
    CONSTRAINT farm_only_row_check CHECK (only_row)
);
CREATE TABLE public.granted_applications (
    account_id text,
    group_id text,
    application_id text,
    operations text[] NOT NULL,
    application_name text COLLATE pg_catalog."C",
    bits integer GENERATED ALWAYS AS (public.operation_bits(operations)) STORED NOT NULL
);
CREATE TABLE public.grants (
    account_id text,
    group_id text,
    application_id text,
    environment text NOT NULL,
    pages text NOT NULL,
    operations text[] NOT NULL,
    CONSTRAINT grants_check CHECK ((num_nonnulls(account_id, group_id) = 1)),
    CONSTRAINT grants_operations_check CHECK ((operations <> '{}'::text[]))
);
CREATE TABLE public.group_members (
    group_id text NOT NULL,
    account_id text NOT NULL
);
CREATE TABLE public.groups (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    description text NOT NULL,
    revision bigint DEFAULT 1 NOT NULL
);
CREATE VIEW public.held_applications AS
 SELECT granted_applications.account_id,
    granted_applications.application_id,
    granted_applications.operations
   FROM public.granted_applications
  WHERE (granted_applications.account_id IS NOT NULL)
UNION ALL
 SELECT m.account_id,
    g.application_id,
    g.operations
   FROM (public.group_members m
     JOIN public.granted_applications g ON ((g.group_id = m.group_id)));
CREATE VIEW public.held_grants AS
 SELECT grants.account_id,
    grants.application_id,
    grants.environment,
    grants.pages,
    grants.operations
   FROM public.grants
  WHERE (grants.account_id IS NOT NULL)
UNION ALL
 SELECT m.account_id,
    g.application_id,
    g.environment,
    g.pages,
    g.operations
   FROM (public.group_members m
     JOIN public.grants g ON ((g.group_id = m.group_id)));
CREATE TABLE public.image_orders (
    image text NOT NULL,
    agent text NOT NULL,
    number bigint NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL
);
ALTER TABLE public.image_orders ALTER COLUMN number ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.image_orders_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.join_tokens (
    token_hash text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    used_by text,
    revoked_at timestamp with time zone,
    revoked_by text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.leadership (
    only_row boolean DEFAULT true NOT NULL,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    CONSTRAINT leadership_only_row_check CHECK (only_row)
);
CREATE TABLE public.logins (
    id text NOT NULL,
    account_id text NOT NULL,
    epoch bigint NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    refreshed_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    address text NOT NULL,
    client text NOT NULL,
    ended_at timestamp with time zone,
    ended_why text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.packagings (
    application_id text NOT NULL,
    commit_id text NOT NULL,
    platform text NOT NULL,
    packaged_at timestamp with time zone NOT NULL,
    task_id text NOT NULL
);
CREATE TABLE public.platform_images (
    task_id text NOT NULL,
    media_type text NOT NULL,
    image bytea NOT NULL,
    CONSTRAINT platform_images_image_check CHECK (((octet_length(image) >= 1) AND (octet_length(image) <= 131072))),
    CONSTRAINT platform_images_media_type_check CHECK ((media_type = ANY (ARRAY['image/png'::text, 'image/jpeg'::text])))
);
ALTER TABLE ONLY public.platform_images ALTER COLUMN image SET STORAGE EXTERNAL;
CREATE TABLE public.prepared_images (
    application_id text NOT NULL,
    name text NOT NULL,
    manifest text NOT NULL,
    shared_by text NOT NULL,
    shared_at timestamp with time zone NOT NULL
);
CREATE TABLE public.publish_permits (
    task_id text NOT NULL,
    attempt bigint NOT NULL,
    nonce text NOT NULL,
    manifest text NOT NULL,
    not_after timestamp with time zone NOT NULL,
    deadline_micros bigint NOT NULL,
    client_ended_at timestamp with time zone,
    reported boolean DEFAULT false NOT NULL
);
CREATE TABLE public.publish_resolutions (
    task_id text NOT NULL,
    attempt bigint NOT NULL,
    verdict text NOT NULL,
    resolved_by text NOT NULL,
    resolved_at timestamp with time zone NOT NULL,
    probe_task text,
    reason text NOT NULL,
    unknown_result jsonb,
    late_result jsonb,
    late_at timestamp with time zone,
    CONSTRAINT publish_resolutions_verdict_check CHECK ((verdict = ANY (ARRAY['published'::text, 'not_published'::text])))
);
CREATE TABLE public.release_pages (
    task_id text NOT NULL,
    token_hash bytea NOT NULL,
    file text NOT NULL,
    file_name text NOT NULL,
    sha256 bytea NOT NULL,
    bytes bigint NOT NULL,
    language text NOT NULL,
    made_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    password_hash text DEFAULT ''::text NOT NULL,
    CONSTRAINT release_pages_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT release_pages_sha256_check CHECK ((octet_length(sha256) = 32)),
    CONSTRAINT release_pages_token_hash_check CHECK ((octet_length(token_hash) = 32))
);
CREATE TABLE public.releases (
    id text NOT NULL,
    sequence bigint NOT NULL,
    run_id text NOT NULL,
    publish_task text NOT NULL,
    build_task text NOT NULL,
    application_id text NOT NULL,
    platform text NOT NULL,
    target text NOT NULL,
    version text NOT NULL,
    commit_id text NOT NULL,
    manifest text NOT NULL,
    link text NOT NULL,
    qr_text text NOT NULL,
    released_at timestamp with time zone NOT NULL,
    released_by text NOT NULL
);
ALTER TABLE public.releases ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.releases_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.repository_credentials (
    application_id text NOT NULL,
    access text NOT NULL,
    username text NOT NULL,
    fingerprint text NOT NULL,
    pinned_hosts boolean NOT NULL,
    sealed text NOT NULL,
    digest text NOT NULL,
    set_at timestamp with time zone NOT NULL,
    set_by text NOT NULL,
    CONSTRAINT repository_credentials_access_check CHECK ((access = ANY (ARRAY['https'::text, 'ssh'::text])))
);
CREATE TABLE public.run_scripts (
    run_id text NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE public.runs (
    id text NOT NULL,
    application_id text NOT NULL,
    ref text NOT NULL,
    version text NOT NULL,
    description text NOT NULL,
    submitted_by text NOT NULL,
    submitted_at timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    recipients jsonb DEFAULT '{}'::jsonb NOT NULL,
    packaging jsonb DEFAULT '{}'::jsonb NOT NULL,
    script_name text DEFAULT ''::text NOT NULL,
    after_script text DEFAULT ''::text NOT NULL,
    no_build_caches boolean DEFAULT false NOT NULL,
    CONSTRAINT runs_request_id_check CHECK ((request_id <> ''::text))
);
CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.steps (
    task_id text NOT NULL,
    attempt bigint NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    detail text NOT NULL,
    CONSTRAINT steps_state_check CHECK ((state = ANY (ARRAY['started'::text, 'succeeded'::text, 'failed'::text])))
);
CREATE TABLE public.targets (
    platform text NOT NULL,
    name text NOT NULL,
    environment text,
    image text NOT NULL,
    proxy text NOT NULL,
    ca_pem text NOT NULL,
    network text NOT NULL,
    deadline bigint NOT NULL,
    requirements jsonb NOT NULL,
    revision bigint DEFAULT nextval('public.catalog_revisions'::regclass) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    channel jsonb,
    sealed_secret text DEFAULT ''::text NOT NULL,
    CONSTRAINT targets_check CHECK (((channel IS NOT NULL) = public.is_channel(platform))),
    CONSTRAINT targets_check1 CHECK (((channel IS NOT NULL) OR (sealed_secret = ''::text))),
    CONSTRAINT targets_deadline_check CHECK ((deadline > 0)),
    CONSTRAINT targets_network_check CHECK ((network = ANY (ARRAY['bridge'::text, 'host'::text])))
);
CREATE TABLE public.tasks (
    id text NOT NULL,
    sequence bigint NOT NULL,
    run_id text NOT NULL,
    application_id text NOT NULL,
    kind text NOT NULL,
    platform text NOT NULL,
    target text NOT NULL,
    depends_on text,
    requirements jsonb NOT NULL,
    priority integer NOT NULL,
    state text NOT NULL,
    attempt bigint NOT NULL,
    agent_id text NOT NULL,
    cancel_requested boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    offer_deadline timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    result jsonb,
    concurrency_group text DEFAULT ''::text NOT NULL,
    queue_timeout bigint DEFAULT 0 NOT NULL,
    starts integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone,
    queued_since timestamp with time zone,
    CONSTRAINT tasks_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT tasks_kind_check CHECK ((kind = ANY (ARRAY['build'::text, 'publish'::text, 'probe'::text, 'preview'::text, 'script'::text]))),
    CONSTRAINT tasks_queue_timeout_check CHECK ((queue_timeout >= 0)),
    CONSTRAINT tasks_starts_check CHECK ((starts >= 0)),
    CONSTRAINT tasks_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'queued'::text, 'offered'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'canceled'::text, 'skipped'::text, 'unknown'::text])))
)
WITH (fillfactor='60');
ALTER TABLE public.tasks ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tasks_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.unfinished (
    task_id text NOT NULL,
    application_id text,
    platform text,
    target text
);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_name_key_key UNIQUE (name_key);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_id_key UNIQUE (id);
ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (token_hash);
ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_name_key UNIQUE (name);
ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (application_id, manifest);
ALTER TABLE ONLY public.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY public.blob_holds
    ADD CONSTRAINT blob_holds_pkey PRIMARY KEY (application_id, digest);
ALTER TABLE ONLY public.blob_marks
    ADD CONSTRAINT blob_marks_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.builder_images
    ADD CONSTRAINT builder_images_pkey PRIMARY KEY (image);
ALTER TABLE ONLY public.built_commits
    ADD CONSTRAINT built_commits_pkey PRIMARY KEY (application_id, commit_id, platform);
ALTER TABLE ONLY public.creation_requests
    ADD CONSTRAINT creation_requests_pkey PRIMARY KEY (account, request_id);
ALTER TABLE ONLY public.environments
    ADD CONSTRAINT environments_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.farm
    ADD CONSTRAINT farm_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.granted_applications
    ADD CONSTRAINT granted_applications_account_id_application_id_group_id_key UNIQUE NULLS NOT DISTINCT (account_id, application_id, group_id);
ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_account_id_group_id_application_id_environment_pages_key UNIQUE NULLS NOT DISTINCT (account_id, group_id, application_id, environment, pages);
ALTER TABLE ONLY public.group_members
    ADD CONSTRAINT group_members_pkey PRIMARY KEY (account_id, group_id);
ALTER TABLE ONLY public.groups
    ADD CONSTRAINT groups_name_key_key UNIQUE (name_key);
ALTER TABLE ONLY public.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.image_orders
    ADD CONSTRAINT image_orders_pkey PRIMARY KEY (image, agent);
ALTER TABLE ONLY public.join_tokens
    ADD CONSTRAINT join_tokens_pkey PRIMARY KEY (token_hash);
ALTER TABLE ONLY public.leadership
    ADD CONSTRAINT leadership_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.logins
    ADD CONSTRAINT logins_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.packagings
    ADD CONSTRAINT packagings_pkey PRIMARY KEY (application_id, commit_id, platform, packaged_at, task_id);
ALTER TABLE ONLY public.platform_images
    ADD CONSTRAINT platform_images_pkey PRIMARY KEY (task_id);
ALTER TABLE ONLY public.prepared_images
    ADD CONSTRAINT prepared_images_pkey PRIMARY KEY (application_id, name);
ALTER TABLE ONLY public.publish_permits
    ADD CONSTRAINT publish_permits_nonce_key UNIQUE (nonce);
ALTER TABLE ONLY public.publish_permits
    ADD CONSTRAINT publish_permits_pkey PRIMARY KEY (task_id);
ALTER TABLE ONLY public.publish_resolutions
    ADD CONSTRAINT publish_resolutions_pkey PRIMARY KEY (task_id);
ALTER TABLE ONLY public.release_pages
    ADD CONSTRAINT release_pages_pkey PRIMARY KEY (task_id);
ALTER TABLE ONLY public.release_pages
    ADD CONSTRAINT release_pages_token_hash_key UNIQUE (token_hash);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_publish_task_key UNIQUE (publish_task);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_sequence_key UNIQUE (sequence);
ALTER TABLE ONLY public.repository_credentials
    ADD CONSTRAINT repository_credentials_pkey PRIMARY KEY (application_id);
ALTER TABLE ONLY public.run_scripts
    ADD CONSTRAINT run_scripts_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_submitted_by_request_id_key UNIQUE (submitted_by, request_id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (task_id, attempt, number);
ALTER TABLE ONLY public.targets
    ADD CONSTRAINT targets_pkey PRIMARY KEY (platform, name);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_sequence_key UNIQUE (sequence);
ALTER TABLE ONLY public.unfinished
    ADD CONSTRAINT unfinished_pkey PRIMARY KEY (task_id);
CREATE UNIQUE INDEX agents_name ON public.agents USING btree (name) WHERE (mode <> ALL (ARRAY['retired'::text, 'revoked'::text]));
CREATE INDEX api_tokens_of_account ON public.api_tokens USING btree (account_id, created_at);
CREATE INDEX api_tokens_over ON public.api_tokens USING btree (LEAST(revoked_at, expires_at)) WHERE (expires_at IS NOT NULL);
CREATE INDEX applications_by_name ON public.applications USING btree (name COLLATE "C");
CREATE UNIQUE INDEX applications_named ON public.applications USING btree (id, name);
CREATE INDEX artifacts_newest ON public.artifacts USING btree (application_id, created_at DESC, manifest);
CREATE INDEX audit_actions ON public.audit USING btree (action COLLATE "C", sequence) WHERE (action <> ALL (ARRAY['create_run'::text, 'offer_task'::text, 'start_task'::text, 'finish_task'::text]));
CREATE INDEX audit_blocks ON public.audit USING brin (at, actor text_bloom_ops, subject text_bloom_ops) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX audit_refusals ON public.audit USING btree (sequence) WHERE (reason <> ''::text);
CREATE INDEX blob_holds_of_digest ON public.blob_holds USING btree (digest);
CREATE INDEX creation_requests_at ON public.creation_requests USING btree (at);
CREATE INDEX granted_applications_by_name ON public.granted_applications USING btree (account_id, application_name) WHERE (account_id IS NOT NULL);
CREATE INDEX granted_applications_of_group ON public.granted_applications USING btree (group_id, application_id) WHERE (group_id IS NOT NULL);
CREATE INDEX granted_applications_of_group_by_name ON public.granted_applications USING btree (group_id, application_name) WHERE (group_id IS NOT NULL);
CREATE INDEX grants_of_account ON public.grants USING btree (account_id, application_id) WHERE (account_id IS NOT NULL);
CREATE INDEX grants_of_application ON public.grants USING btree (application_id);
CREATE INDEX grants_of_group ON public.grants USING btree (group_id, application_id) WHERE (group_id IS NOT NULL);
CREATE INDEX group_members_of_group ON public.group_members USING btree (group_id);
CREATE INDEX join_tokens_by_age ON public.join_tokens USING btree (created_at);
CREATE INDEX logins_live ON public.logins USING btree (account_id, created_at) WHERE (ended_at IS NULL);
CREATE INDEX logins_over ON public.logins USING btree (LEAST(ended_at, expires_at));
CREATE INDEX packagings_by_time ON public.packagings USING brin (packaged_at);
CREATE INDEX prepared_images_by_manifest ON public.prepared_images USING btree (application_id, manifest);
CREATE INDEX release_pages_expires ON public.release_pages USING btree (expires_at);
CREATE INDEX releases_of_application ON public.releases USING btree (application_id, sequence);
CREATE INDEX releases_of_build ON public.releases USING btree (build_task, sequence);
CREATE INDEX tasks_of_application ON public.tasks USING btree (application_id, sequence);
CREATE INDEX tasks_of_run ON public.tasks USING btree (run_id, sequence);
CREATE INDEX unfinished_publishes ON public.unfinished USING btree (application_id, platform, target) WHERE (application_id IS NOT NULL);
CREATE TRIGGER audit_head_rises BEFORE UPDATE ON public.audit_head FOR EACH ROW WHEN ((new.sequence <= old.sequence)) EXECUTE FUNCTION public.audit_stays();
ALTER TABLE public.audit_head ENABLE ALWAYS TRIGGER audit_head_rises;
CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON public.audit_head FOR EACH STATEMENT EXECUTE FUNCTION public.audit_stays();
ALTER TABLE public.audit_head ENABLE ALWAYS TRIGGER audit_head_stays;
CREATE TRIGGER audit_stays BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.audit_stays();
ALTER TABLE public.audit ENABLE ALWAYS TRIGGER audit_stays;
CREATE TRIGGER granted_applications_delete AFTER DELETE ON public.grants REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.granted_applications_follow();
CREATE TRIGGER granted_applications_insert AFTER INSERT ON public.grants REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.granted_applications_follow();
CREATE TRIGGER granted_applications_update AFTER UPDATE ON public.grants REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.granted_applications_follow();
CREATE TRIGGER references_stay BEFORE UPDATE OF id, application_id ON public.runs FOR EACH STATEMENT EXECUTE FUNCTION public.references_stay();
CREATE TRIGGER references_stay BEFORE UPDATE OF id, run_id, application_id, depends_on ON public.tasks FOR EACH STATEMENT EXECUTE FUNCTION public.references_stay();
CREATE TRIGGER tasks_left_of_run AFTER DELETE ON public.runs REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tasks_are_left();
CREATE TRIGGER tasks_left_of_task AFTER DELETE ON public.tasks REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tasks_are_left();
CREATE TRIGGER tasks_refer AFTER INSERT ON public.tasks REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tasks_refer();
ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id);
ALTER TABLE ONLY public.blob_holds
    ADD CONSTRAINT blob_holds_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id);
ALTER TABLE ONLY public.granted_applications
    ADD CONSTRAINT granted_applications_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.granted_applications
    ADD CONSTRAINT granted_applications_application_id_application_name_fkey FOREIGN KEY (application_id, application_name) REFERENCES public.applications(id, name) MATCH FULL ON UPDATE CASCADE;
ALTER TABLE ONLY public.granted_applications
    ADD CONSTRAINT granted_applications_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.groups(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id);
ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.groups(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.group_members
    ADD CONSTRAINT group_members_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.group_members
    ADD CONSTRAINT group_members_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.groups(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.join_tokens
    ADD CONSTRAINT join_tokens_used_by_fkey FOREIGN KEY (used_by) REFERENCES public.agents(id);
ALTER TABLE ONLY public.logins
    ADD CONSTRAINT logins_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.platform_images
    ADD CONSTRAINT platform_images_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.prepared_images
    ADD CONSTRAINT prepared_images_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id);
ALTER TABLE ONLY public.publish_permits
    ADD CONSTRAINT publish_permits_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.publish_resolutions
    ADD CONSTRAINT publish_resolutions_probe_task_fkey FOREIGN KEY (probe_task) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.publish_resolutions
    ADD CONSTRAINT publish_resolutions_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.release_pages
    ADD CONSTRAINT release_pages_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_build_task_fkey FOREIGN KEY (build_task) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_publish_task_fkey FOREIGN KEY (publish_task) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.repository_credentials
    ADD CONSTRAINT repository_credentials_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.run_scripts
    ADD CONSTRAINT run_scripts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.applications(id);
ALTER TABLE ONLY public.steps
    ADD CONSTRAINT steps_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.targets
    ADD CONSTRAINT targets_environment_fkey FOREIGN KEY (environment) REFERENCES public.environments(name);
