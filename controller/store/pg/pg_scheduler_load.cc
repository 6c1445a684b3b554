#include "common/status/status.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

// The part of PgSchedulerStore that reads.
namespace slipway::store::pg {
namespace {

constexpr Statement kUnfinishedTasks{"scheduler_unfinished_tasks",
                                     "SELECT " SLIPWAY_PG_TASK_COLUMNS R"(
  FROM unfinished u
  JOIN tasks t ON t.id = u.task_id
 WHERE t.state IN ('waiting', 'queued', 'offered', 'running', 'unknown')
 ORDER BY t.sequence)"};
constexpr Statement kUnfinishedSubmitters{"scheduler_unfinished_submitters", R"(
SELECT r.id, r.submitted_by
  FROM runs r
 WHERE r.id IN (SELECT t.run_id FROM unfinished u JOIN tasks t ON t.id = u.task_id))"};
constexpr Statement kRoster{"scheduler_roster", R"(
SELECT id, name, labels, last_seen IS NOT NULL AS seen FROM agents
 WHERE mode NOT IN ('retired', 'revoked'))"};
constexpr Statement kUnfinishedPermits{"scheduler_unfinished_permits", R"(
SELECT p.task_id, p.attempt, p.nonce, p.manifest, to_micros(p.not_after) AS not_after,
       p.deadline_micros, to_micros(p.client_ended_at) AS client_ended_at, p.reported
  FROM unfinished u
  JOIN publish_permits p ON p.task_id = u.task_id
  JOIN tasks t ON t.id = p.task_id
 ORDER BY t.sequence)"};

constexpr Statement kAvailability{"scheduler_availability", R"(
SELECT id, mode, mode_reason, mode_by, to_micros(mode_since) AS mode_since,
       to_micros(mode_until) AS mode_until
  FROM agents
 WHERE mode NOT IN ('active', 'retired', 'revoked'))"};

constexpr Statement kOpenResolutions{"scheduler_open_resolutions", R"(
SELECT r.task_id, r.attempt, t.agent_id, r.verdict
  FROM publish_resolutions r
  JOIN tasks t ON t.id = r.task_id
  LEFT JOIN publish_permits p ON p.task_id = r.task_id
 WHERE r.late_at IS NULL AND NOT coalesce(p.reported, false)
   -- Nothing is heard any more of an agent that left the farm.
   AND NOT EXISTS (SELECT FROM agents a
                    WHERE a.id = t.agent_id AND a.mode IN ('retired', 'revoked')))"};

}  // namespace

absl::StatusOr<Unfinished> PgSchedulerStore::LoadUnfinished() {
  Unfinished unfinished;
  SLIPWAY_RETURN_IF_ERROR(database_.Write([&](Transaction& transaction) {
    for (const pqxx::row& row : transaction.Run(kUnfinishedTasks)) {
      unfinished.tasks.push_back(TaskFromRow(row));
    }
    for (const pqxx::row& row : transaction.Run(kUnfinishedPermits)) {
      unfinished.permits.push_back(PermitFromRow(row));
    }
    for (const pqxx::row& row : transaction.Run(kAvailability)) {
      unfinished.availability.emplace(row["id"].as<std::string>(), AvailabilityFromRow(row));
    }
    for (const pqxx::row& row : transaction.Run(kRoster)) {
      unfinished.agents.push_back({.id = AgentId(row["id"].as<std::string>()),
                                   .name = row["name"].as<std::string>(),
                                   .labels = LabelsFromJson(row["labels"].as<std::string>()),
                                   .seen = row["seen"].as<bool>()});
    }
    for (const pqxx::row& row : transaction.Run(kUnfinishedSubmitters)) {
      unfinished.submitters.emplace(RunId(row[0].as<std::string>()), row[1].as<std::string>());
    }
    for (const pqxx::row& row : transaction.Run(kOpenResolutions)) {
      unfinished.resolved.push_back(OpenResolutionFromRow(row));
    }
    return absl::OkStatus();
  }));
  return unfinished;
}

}  // namespace slipway::store::pg
