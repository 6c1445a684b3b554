#include "controller/store/pg/pg_scheduler_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "common/status/status.h"
#include "controller/store/pg/audit_chain.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/authority_check.h"
#include "controller/store/pg/change_batch.h"
#include "controller/store/pg/create_run_sql.h"
#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;

constexpr Statement kExistingRun{"scheduler_existing_run",
                                 "SELECT id FROM runs WHERE submitted_by = $1 AND request_id = $2"};

// The rows of `tasks` that the changes `c` name, looked up one by one. A join by id would leave the
// planner the choice to walk the whole index instead, which it takes when its statistics are of a
// table that was small, and keeps for as long as the plan of the prepared statement lives.
#define SLIPWAY_PG_FIND_TASKS                                                                 \
  " CROSS JOIN LATERAL (SELECT found.ctid AS place FROM tasks found WHERE found.id = c.task " \
  "OFFSET 0) AS found "

// Each takes a JSON array of changes, those of most rows arrays (ArrayArguments), and returns the
// subjects of those that it applied.
constexpr Statement kOfferTask{"scheduler_offer_task", R"(
UPDATE tasks t
   SET state = 'offered', attempt = c.attempt, agent_id = c.agent,
       offer_deadline = from_micros(c.deadline)
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS c(
         task, attempt, agent, deadline)
)" SLIPWAY_PG_FIND_TASKS R"(
 WHERE t.ctid = found.place AND t.state = 'queued' AND NOT t.cancel_requested
   AND t.attempt = c.attempt - 1
RETURNING t.id)"};

constexpr Statement kStartTask{"scheduler_start_task", R"(
UPDATE tasks t
   SET state = 'running', started_at = from_micros(c.at), offer_deadline = NULL,
       starts = t.starts + 1
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS c(task, attempt, at)
)" SLIPWAY_PG_FIND_TASKS R"(
 WHERE t.ctid = found.place AND t.state = 'offered' AND t.attempt = c.attempt
RETURNING t.id)"};

constexpr Statement kRequeueTask{"scheduler_requeue_task", R"(
UPDATE tasks t
   SET state = 'queued', started_at = NULL, offer_deadline = NULL,
       not_before = from_micros(c.not_before),
       queued_since = CASE t.state WHEN 'running' THEN from_micros(c.at) ELSE t.queued_since END
  FROM json_to_recordset($1::json) AS c(task text, attempt bigint, at bigint, not_before bigint)
)" SLIPWAY_PG_FIND_TASKS R"(
 WHERE t.ctid = found.place AND t.attempt = c.attempt
   AND (t.state = 'offered' OR (t.state = 'running' AND t.kind <> 'publish'))
RETURNING t.id)"};

constexpr Statement kReleaseTask{"scheduler_release_task", R"(
UPDATE tasks t
   SET state = 'queued', queued_since = from_micros(c.at)
  FROM json_to_recordset($1::json) AS c(task text, at bigint)
)" SLIPWAY_PG_FIND_TASKS R"(
 WHERE t.ctid = found.place AND t.state = 'waiting'
RETURNING t.id)"};

constexpr Statement kRequestCancel{"scheduler_request_cancel", R"(
UPDATE tasks t
   SET cancel_requested = true
  FROM json_to_recordset($1::json) AS c(task text)
)" SLIPWAY_PG_FIND_TASKS R"(
 WHERE t.ctid = found.place AND NOT t.cancel_requested
   AND t.state IN ('waiting', 'queued', 'offered', 'running', 'unknown')
RETURNING t.id)"};

// Inserts done.release where there is one.
#define SLIPWAY_PG_INSERT_RELEASES                                                                 \
  "INSERT INTO releases (id, run_id, publish_task, build_task, application_id, platform, target, " \
  "version, commit_id, manifest, link, qr_text, released_at, released_by) "                        \
  "SELECT r.id, r.run, r.publish_task, r.build_task, r.application, r.platform, r.target, "        \
  "r.version, r.commit_id, r.manifest, r.link, r.qr_text, from_micros(r.released_at), "            \
  "r.released_by FROM done CROSS JOIN LATERAL jsonb_to_record(done.release) AS r("                 \
  "id text, run text, publish_task text, build_task text, application text, platform text, "       \
  "target text, version text, commit_id text, manifest text, link text, qr_text text, "            \
  "released_at bigint, released_by text) WHERE done.release IS NOT NULL"

// Inserts done.image where there is one.
#define SLIPWAY_PG_INSERT_IMAGES                                                   \
  "INSERT INTO platform_images (task_id, media_type, image) "                      \
  "SELECT id, image_type, decode(image, 'hex') FROM done WHERE image IS NOT NULL " \
  "ON CONFLICT (task_id) DO UPDATE SET media_type = excluded.media_type, image = excluded.image"

constexpr Statement kFinishTask{"scheduler_finish_task", R"(
WITH c AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS c(
    task text, attempt bigint, at bigint, state text, allowed text, result jsonb, release jsonb,
    resolution jsonb, image text, image_type text)
), done AS (
  UPDATE tasks t
     SET state = c.state, finished_at = from_micros(c.at), offer_deadline = NULL,
         result = coalesce(c.result, t.result)
    FROM c
)" SLIPWAY_PG_FIND_TASKS R"(
   WHERE t.ctid = found.place AND t.attempt = c.attempt
     AND position(' ' || t.kind || '/' || t.state || ' ' IN c.allowed) > 0
  RETURNING t.id, t.attempt, t.application_id, t.platform, t.sequence, c.release, c.resolution,
            c.image, c.image_type,
            CASE WHEN t.kind = 'build' AND t.state = 'succeeded'
                 THEN nullif(c.result #>> '{build,commit}', '') END AS built_commit,
            t.finished_at, )" SLIPWAY_PG_BUILDER_IMAGE("c.result") R"( AS built_in,
            )" SLIPWAY_PG_BUILDER_DIGEST("c.result") R"( AS built_in_digest
), built AS (
  INSERT INTO built_commits AS b (application_id, commit_id, platform, task_id)
  SELECT DISTINCT ON (1, 2, 3) application_id, built_commit, platform, id
    FROM done WHERE built_commit IS NOT NULL ORDER BY 1, 2, 3, sequence DESC
  ON CONFLICT (application_id, commit_id, platform) DO UPDATE SET task_id = excluded.task_id
), packaged AS (
  INSERT INTO packagings (application_id, commit_id, platform, packaged_at, task_id)
  SELECT application_id, built_commit, platform, finished_at, id
    FROM done WHERE built_commit IS NOT NULL
), seen_images AS (
  INSERT INTO builder_images AS i (image, digest)
  SELECT DISTINCT ON (built_in) built_in, built_in_digest
    FROM done
   WHERE built_commit IS NOT NULL AND built_in <> ''
     -- One that is as it was is not even locked.
     AND NOT EXISTS (SELECT FROM builder_images k
                      WHERE k.image = built_in AND k.digest = built_in_digest)
   ORDER BY built_in, sequence DESC
  ON CONFLICT (image) DO UPDATE SET digest = excluded.digest
), ended AS (
  -- Not a join, which a plan made while the table was small would do by reading all of it.
  DELETE FROM unfinished WHERE task_id = ANY (ARRAY(SELECT id FROM done))
), released AS ()" SLIPWAY_PG_INSERT_RELEASES R"()
, pictured AS ()" SLIPWAY_PG_INSERT_IMAGES R"(), resolved AS (
  INSERT INTO publish_resolutions (task_id, attempt, verdict, resolved_by, resolved_at, probe_task,
                                   reason, unknown_result)
  SELECT done.id, done.attempt, r.verdict, r.resolved_by, from_micros(r.resolved_at),
         nullif(r.probe_task, ''), r.reason, earlier.result
    FROM done
    -- All parts of a statement see the rows as they were before it.
   CROSS JOIN LATERAL (SELECT result FROM tasks WHERE id = done.id OFFSET 0) AS earlier
   CROSS JOIN LATERAL jsonb_to_record(done.resolution) AS r(
           verdict text, resolved_by text, resolved_at bigint, probe_task text, reason text)
   WHERE done.resolution IS NOT NULL
)
SELECT id FROM done)"};

constexpr Statement kMarkUnknown{"scheduler_mark_unknown", R"(
WITH done AS (
  UPDATE tasks t
     SET state = 'unknown', result = c.result
    FROM jsonb_to_recordset($1::jsonb) AS c(
           task text, attempt bigint, result jsonb, reported boolean, client_ended_at bigint)
)" SLIPWAY_PG_FIND_TASKS R"(
   WHERE t.ctid = found.place AND t.attempt = c.attempt AND
         t.state IN ('running', 'unknown') AND t.kind = 'publish'
  RETURNING t.id, t.attempt, c.reported, c.client_ended_at
), noted AS (
  UPDATE publish_permits p
     SET reported = p.reported OR done.reported,
         client_ended_at = coalesce(p.client_ended_at, from_micros(done.client_ended_at))
    FROM done
   WHERE p.task_id = done.id AND p.attempt = done.attempt
)
SELECT id FROM done)"};

constexpr Statement kRecordLateResult{"scheduler_record_late_result", R"(
WITH c AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS c(
    task text, attempt bigint, at bigint, result jsonb, release jsonb, image text, image_type text)
), done AS (
  UPDATE publish_resolutions r
     SET late_result = c.result, late_at = from_micros(c.at)
    FROM c
   CROSS JOIN LATERAL (SELECT state FROM tasks WHERE id = c.task OFFSET 0) AS t
   WHERE r.task_id = c.task AND r.attempt = c.attempt AND r.late_at IS NULL
     AND (c.release IS NULL OR t.state = 'failed')
  RETURNING r.task_id AS id, c.result, c.release, c.image, c.image_type
), corrected AS (
  UPDATE tasks t
     SET state = 'succeeded', result = done.result
    FROM done
   WHERE t.id = done.id AND done.release IS NOT NULL
), released AS ()" SLIPWAY_PG_INSERT_RELEASES R"(), pictured AS ()" SLIPWAY_PG_INSERT_IMAGES R"()
SELECT id FROM done)"};

// The no-op update makes RETURNING name a permit that stays as it is.
constexpr Statement kGrantPermit{"scheduler_grant_permit", R"(
INSERT INTO publish_permits AS p (task_id, attempt, nonce, manifest, not_after, deadline_micros)
SELECT c.task, c.attempt, c.nonce, c.manifest, from_micros(c.not_after), c.deadline
  FROM json_to_recordset($1::json) AS c(
         task text, attempt bigint, nonce text, manifest text, not_after bigint, deadline bigint)
  CROSS JOIN LATERAL (SELECT * FROM tasks WHERE id = c.task OFFSET 0) AS t
 WHERE t.state = 'running' AND t.kind = 'publish' AND NOT t.cancel_requested
   AND t.attempt = c.attempt
   -- Channels take several at a time.
   AND (is_channel(t.platform) OR NOT EXISTS (
         SELECT FROM unfinished there
           JOIN tasks other ON other.id = there.task_id
           JOIN publish_permits held ON held.task_id = other.id
          WHERE there.application_id = t.application_id AND there.platform = t.platform
            AND there.target = t.target AND there.task_id <> t.id
            AND other.state IN ('offered', 'running', 'unknown')))
ON CONFLICT (task_id) DO UPDATE SET nonce = p.nonce
 WHERE p.attempt = excluded.attempt AND p.manifest = excluded.manifest
RETURNING p.task_id)"};

// A finished step is left alone, and that is no refusal.
constexpr Statement kRecordStep{"scheduler_record_step", R"(
WITH c AS (
  SELECT c.*
    FROM json_to_recordset($1::json) AS c(
           task text, attempt bigint, number integer, name text, state text, started_at bigint,
           finished_at bigint, detail text)
   CROSS JOIN LATERAL (SELECT attempt FROM tasks WHERE id = c.task OFFSET 0) AS t
   WHERE t.attempt = c.attempt
), stored AS (
  INSERT INTO steps AS s (task_id, attempt, number, name, state, started_at, finished_at, detail)
  SELECT task, attempt, number, name, state, from_micros(started_at), from_micros(finished_at),
         detail
    FROM c
  ON CONFLICT (task_id, attempt, number) DO UPDATE
     SET name = excluded.name, state = excluded.state,
         started_at = coalesce(s.started_at, excluded.started_at),
         finished_at = excluded.finished_at, detail = excluded.detail
   WHERE s.state = 'started'
)
SELECT task FROM c)"};

constexpr Statement kSetAvailability{"scheduler_set_availability", R"(
UPDATE agents a
   SET mode = c.mode, mode_reason = c.reason, mode_by = c.actor,
       mode_since = from_micros(c.since), mode_until = from_micros(c.until)
  FROM json_to_recordset($1::json) AS c(
         agent text, mode text, reason text, actor text, since bigint, until bigint, allowed jsonb)
  -- What was: nobody but this statement writes these columns.
  JOIN agents was ON was.id = c.agent
 WHERE a.id = c.agent AND c.allowed ? a.mode
RETURNING a.id, was.mode, was.mode_reason, was.mode_by, to_micros(was.mode_since) AS mode_since,
          to_micros(was.mode_until) AS mode_until)"};

// In the order of Change's alternatives.
constexpr const Statement* kStatements[] = {&kCreateRun,   &kOfferTask,       &kStartTask,
                                            &kRequeueTask, &kReleaseTask,     &kRequestCancel,
                                            &kFinishTask,  &kMarkUnknown,     &kGrantPermit,
                                            &kRecordStep,  &kSetAvailability, &kRecordLateResult};
static_assert(std::size(kStatements) == std::variant_size_v<Change>);

absl::Status NotStorable() {
  return absl::InvalidArgumentError(
      "it holds a text with a NUL byte or bytes that are no UTF-8, which cannot be stored");
}

absl::Status Refused(const Change& change) {
  return absl::AbortedError(
      fmt::format("{}: the stored state does not fit the change any more", SubjectOf(change)));
}

// One try to apply a batch inside one transaction.
class BatchWriter {
 public:
  BatchWriter(const std::vector<Change>& changes, Transaction& transaction)
      : changes_(changes), transaction_(transaction) {
    json_.reserve(changes.size());
    audit_.reserve(changes.size());
    outcome_ = rights_ = RightsOf(changes, transaction);
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      audit_.push_back(AuditEntryOf(changes[i]));
      if (ReadsArrays(changes[i])) {
        json_.emplace_back();
        if (!IsStorable(changes[i])) outcome_[i] = NotStorable();
      } else {
        const json::object object = ChangeToJson(changes[i]);
        json_.push_back(json::serialize(object));
        if (!IsStorable(object)) outcome_[i] = NotStorable();
      }
      wanted.push_back(outcome_[i].ok());
    }
    groups_ = GroupChanges(changes, wanted);
  }

  // Everything but the audit's entries in one round trip, which on a busy machine costs more than
  // the statements. Throws what PostgreSQL refuses.
  void ApplyFast() {
    std::vector<Call> calls;
    for (const ChangeGroup& group : groups_) {
      calls.push_back({*kStatements[group.kind], ArgumentsOf(group.members)});
    }
    if (std::any_of(audit_.begin(), audit_.end(), [](const auto& entry) { return entry; })) {
      calls.push_back(HoldAuditEnd());
    }
    if (calls.empty()) return;
    const std::vector<pqxx::result> results = transaction_.RunTogether(calls);
    for (std::size_t i = 0; i < groups_.size(); ++i) Judge(groups_[i].members, results[i]);
    if (results.size() > groups_.size()) {
      AppendAudit(transaction_, results.back(), TakeAuditEntries());
    }
  }

  // As ApplyFast, but a row that PostgreSQL refuses is refused alone: halves until it is found.
  // An error that is no row's fault is returned.
  absl::Status ApplyCarefully() {
    for (const ChangeGroup& group : groups_) {
      SLIPWAY_RETURN_IF_ERROR(ApplyHalving(group.kind, group.members));
    }
    AppendAudit(transaction_, TakeAuditEntries());
    return absl::OkStatus();
  }

  std::vector<absl::Status> TakeOutcome() { return std::move(outcome_); }
  std::vector<absl::Status> TakeRights() { return std::move(rights_); }

 private:
  [[nodiscard]] std::vector<std::string> ArgumentsOf(std::span<const std::size_t> members) const {
    if (ReadsArrays(changes_[members[0]])) return ArrayArguments(changes_, members);
    std::string rows;
    for (const std::size_t i : members) {
      rows += rows.empty() ? '[' : ',';
      rows += json_[i];
    }
    return {rows + ']'};
  }

  // Whoever the statement did not name was refused.
  void Judge(std::span<const std::size_t> members, const pqxx::result& applied) {
    std::map<std::string, std::size_t> by_subject;
    for (const std::size_t i : members) by_subject[SubjectOf(changes_[i])] = i;
    for (const pqxx::row& row : applied) {
      const auto it = by_subject.find(row[0].as<std::string>());
      if (it == by_subject.end()) continue;
      if (std::holds_alternative<SetAvailability>(changes_[it->second])) {
        audit_[it->second]->before = AuditDigest(AvailabilityFromRow(row));
      }
      by_subject.erase(it);
    }
    for (const auto& [subject, i] : by_subject) outcome_[i] = RefusalOf(changes_[i]);
  }

  void ApplyGroup(std::size_t kind, std::span<const std::size_t> members) {
    const Call call{*kStatements[kind], ArgumentsOf(members)};
    Judge(members, transaction_.RunTogether({call}).at(0));
  }

  absl::Status RefusalOf(const Change& change) {
    const auto* create = std::get_if<CreateRun>(&change);
    if (create == nullptr) return Refused(change);
    const pqxx::result existing =
        transaction_.Run(kExistingRun, create->run.submitted_by, create->run.request_id);
    if (!existing.empty()) return absl::AlreadyExistsError(existing[0][0].as<std::string>());
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_TARGET",
                     "a target was deleted, or put into another environment, in this moment",
                     "Submit again; `slipway targets` lists what there is now.");
  }

  absl::Status ApplyHalving(std::size_t kind, std::span<const std::size_t> members) {
    transaction_.work().exec("SAVEPOINT guarded");
    const absl::Status status = CatchPqxx([&]() -> absl::Status {
      ApplyGroup(kind, members);
      return absl::OkStatus();
    });
    if (IsInfrastructureError(status)) return status;
    transaction_.work().exec(status.ok() ? "RELEASE SAVEPOINT guarded"
                                         : "ROLLBACK TO SAVEPOINT guarded");
    if (status.ok()) return status;
    if (members.size() == 1) {
      outcome_[members[0]] = absl::InvalidArgumentError(status.message());
      return absl::OkStatus();
    }
    const std::size_t half = members.size() / 2;
    SLIPWAY_RETURN_IF_ERROR(ApplyHalving(kind, members.first(half)));
    return ApplyHalving(kind, members.subspan(half));
  }

  std::vector<domain::AuditEntry> TakeAuditEntries() {
    std::vector<domain::AuditEntry> entries;
    entries.reserve(changes_.size());
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      if (outcome_[i].ok() && audit_[i]) entries.push_back(*std::move(audit_[i]));
    }
    return entries;
  }

  const std::vector<Change>& changes_;
  Transaction& transaction_;
  std::vector<std::string> json_;                         // of what ReadsArrays: nothing
  std::vector<std::optional<domain::AuditEntry>> audit_;  // nullopt: nothing to say
  std::vector<ChangeGroup> groups_;
  std::vector<absl::Status> outcome_;
  std::vector<absl::Status> rights_;  // to each change
};

}  // namespace

absl::StatusOr<Epoch> PgSchedulerStore::BecomeLeader() { return database_.BeginTerm(); }

absl::StatusOr<std::vector<absl::Status>> PgSchedulerStore::Commit(
    const std::vector<Change>& changes) {
  std::vector<absl::Status> outcome;
  std::vector<absl::Status> rights;
  const absl::Status fast = database_.Write([&](Transaction& transaction) {
    BatchWriter writer(changes, transaction);
    writer.ApplyFast();
    outcome = writer.TakeOutcome();
    rights = writer.TakeRights();
    return absl::OkStatus();
  });
  if (fast.ok()) {
    EnterRefusals(database_, changes, rights);
    return outcome;
  }
  // Only what the server said about a statement can be some row's fault.
  if (IsInfrastructureError(fast) || SqlState(fast).empty()) return fast;
  const absl::Status careful = database_.Write([&](Transaction& transaction) {
    BatchWriter writer(changes, transaction);
    absl::Status status = writer.ApplyCarefully();
    outcome = writer.TakeOutcome();
    rights = writer.TakeRights();
    return status;
  });
  if (!careful.ok()) return careful;
  EnterRefusals(database_, changes, rights);
  return outcome;
}

absl::StatusOr<std::vector<absl::Status>> PgSchedulerStore::CheckRights(
    const std::vector<Change>& changes) {
  std::vector<absl::Status> rights;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    rights = RightsOf(changes, transaction);
    return absl::OkStatus();
  }));
  EnterRefusals(database_, changes, rights);
  return rights;
}

}  // namespace slipway::store::pg
