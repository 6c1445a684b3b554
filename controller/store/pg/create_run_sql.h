#pragma once

#include "controller/store/pg/session.h"

namespace slipway::store::pg {

// Makes runs with their tasks and scripts. Takes what RunBatch gives; returns the ids of the runs
// that it made, which leaves out those that exist and those whose targets are not what they were
// taken for.
inline constexpr Statement kCreateRun{"scheduler_create_run", R"(
WITH c AS (
  SELECT s.application, s.ref, s.version, s.description, s.submitted_by, s.parameters,
         s.recipients, s.packaging, s.script_name, s.after_script,
         s.no_build_caches, r.*
    FROM json_to_recordset($1::json) AS s(
           application text, ref text, version text, description text, submitted_by text,
           parameters jsonb, recipients jsonb, packaging jsonb, script_name text,
           after_script text, no_build_caches boolean, ids text, request_ids text,
           submitted_at text)
   CROSS JOIN LATERAL unnest(s.ids::text[], s.request_ids::text[], s.submitted_at::bigint[]) AS r(
           id, request_id, submitted_at)
), uses AS (
  SELECT s.platform, s.name, s.environment, r.run
    FROM json_to_recordset($3::json) AS s(platform text, name text, environment text, runs text)
   CROSS JOIN LATERAL unnest(s.runs::text[]) AS r(run)
), held AS MATERIALIZED (
  -- Against whoever changes or deletes one now: either this comes first, and what goes there
  -- is seen there, or that does, and its outcome is seen here.
  SELECT platform, name, coalesce(environment, '') AS environment FROM targets
   WHERE (platform, name) IN (SELECT platform, name FROM uses)
     FOR SHARE
), new_runs AS (
  INSERT INTO runs (id, application_id, ref, version, description, submitted_by, submitted_at,
                    request_id, parameters, recipients, packaging, script_name, after_script,
                    no_build_caches)
  SELECT id, application, ref, version, description, submitted_by, from_micros(submitted_at),
         request_id, parameters, recipients, packaging, script_name, after_script,
         no_build_caches
    FROM c
   WHERE c.id NOT IN (SELECT run FROM uses
                       WHERE (platform, name, environment) NOT IN
                             (SELECT platform, name, environment FROM held))
  ON CONFLICT (submitted_by, request_id) DO NOTHING
  RETURNING id
), new_scripts AS (
  INSERT INTO run_scripts (run_id, body)
  SELECT s.run, decode(s.body, 'hex')
    FROM json_to_recordset($4::json) AS s(run text, body text)
   WHERE (s.run IN (SELECT id FROM new_runs)) IS TRUE
), new_tasks AS (
  INSERT INTO tasks (id, run_id, application_id, kind, platform, target, depends_on, requirements,
                     priority, concurrency_group, queue_timeout, state, attempt, agent_id, starts,
                     not_before, queued_since, cancel_requested, created_at, started_at,
                     finished_at, result)
  SELECT t.id, t.run, t.application, t.kind, t.platform, t.target, nullif(t.depends_on, ''),
         t.requirements, t.priority, t.concurrency_group, t.queue_timeout, t.state, t.attempt,
         t.agent, t.starts, from_micros(t.not_before), from_micros(t.queued_since),
         t.cancel_requested, from_micros(t.created_at), from_micros(t.finished_at),
         from_micros(t.finished_at), t.result
    FROM (
      SELECT s.application, s.kind, s.platform, s.target, s.requirements, s.priority,
             s.concurrency_group, s.queue_timeout, s.state, s.attempt, s.agent, s.starts,
             s.cancel_requested, s.finished_at, s.result, r.*
        FROM json_to_recordset($2::json) AS s(
               application text, kind text, platform text, target text, requirements jsonb,
               priority integer, concurrency_group text, queue_timeout bigint, state text,
               attempt bigint, agent text, starts integer, cancel_requested boolean,
               finished_at bigint, result jsonb, places text, ids text, runs text, depend_on text,
               not_before text, queued_since text, created_at text)
       CROSS JOIN LATERAL unnest(
               s.places::bigint[], s.ids::text[], s.runs::text[], s.depend_on::text[],
               s.not_before::bigint[], s.queued_since::bigint[], s.created_at::bigint[]) AS r(
               place, id, run, depends_on, not_before, queued_since, created_at)) AS t
   -- No join, which would compare each run with each (FenceQuery); this is looked up by a hash.
   WHERE (t.run IN (SELECT id FROM new_runs)) IS TRUE
   -- The order of the batch, which the scheduler keeps in groups.
   ORDER BY t.place
  RETURNING id, kind, application_id, platform, target, finished_at, result
), begun AS (
  INSERT INTO unfinished (task_id, application_id, platform, target)
  SELECT id,
         CASE WHEN kind IN ('publish', 'preview') THEN application_id END,
         CASE WHEN kind IN ('publish', 'preview') THEN platform END,
         CASE WHEN kind IN ('publish', 'preview') THEN target END
    FROM new_tasks
   WHERE finished_at IS NULL
), packaged AS (
  INSERT INTO packagings (application_id, commit_id, platform, packaged_at, task_id)
  SELECT application_id, result #>> '{build,commit}', platform, finished_at, id
    FROM new_tasks
   WHERE finished_at IS NOT NULL
)
SELECT id FROM new_runs)"};

}  // namespace slipway::store::pg
