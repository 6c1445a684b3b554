#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <utility>

#include "controller/domain/agent.h"
#include "controller/domain/task.h"

// Domain values to and from rows and the JSON that carries whole batches of them to the server.
// Private to this library: it shows libpqxx and Boost.JSON. Whatever does not parse throws.
namespace slipway::store::pg {

// The columns that TaskFromRow reads, of table tasks as t.
#define SLIPWAY_PG_TASK_COLUMNS                                                                  \
  "t.id AS t_id, t.run_id AS t_run, t.application_id AS t_application, t.kind AS t_kind, "       \
  "t.platform AS t_platform, t.target AS t_target, coalesce(t.depends_on, '') AS t_depends_on, " \
  "t.requirements AS t_requirements, t.priority AS t_priority, t.state AS t_state, "             \
  "t.concurrency_group AS t_group, t.queue_timeout AS t_queue_timeout, t.starts AS t_starts, "   \
  "to_micros(t.not_before) AS t_not_before, to_micros(t.queued_since) AS t_queued_since, "       \
  "t.attempt AS t_attempt, t.agent_id AS t_agent, t.cancel_requested AS t_cancel_requested, "    \
  "to_micros(t.created_at) AS t_created_at, to_micros(t.offer_deadline) AS t_offer_deadline, "   \
  "to_micros(t.started_at) AS t_started_at, to_micros(t.finished_at) AS t_finished_at, "         \
  "t.result AS t_result, t.sequence AS t_sequence"

// The columns that RunFromRow reads, of tables runs as r and applications as a.
#define SLIPWAY_PG_RUN_COLUMNS                                                      \
  "r.id AS r_id, r.application_id AS r_application, a.name AS r_application_name, " \
  "r.ref AS r_ref, r.version AS r_version, r.description AS r_description, "        \
  "r.submitted_by AS r_submitted_by, to_micros(r.submitted_at) AS r_submitted_at, " \
  "r.request_id AS r_request_id, r.parameters AS r_parameters, "                    \
  "r.recipients AS r_recipients, r.packaging AS r_packaging, "                      \
  "r.after_script AS r_after_script, r.script_name AS r_script_name, "              \
  "r.no_build_caches AS r_no_build_caches"

// The builder image of a build's result and what was behind its name, of which an image may have
// been prepared; '' when the agent did not say.
#define SLIPWAY_PG_BUILDER_IMAGE(result) \
  "coalesce(nullif(" result " #>> '{build,base_image}', ''), " result " #>> '{build,image}')"
#define SLIPWAY_PG_BUILDER_DIGEST(result)                                    \
  "coalesce(nullif(" result " #>> '{build,base_image_digest}', ''), " result \
  " #>> '{build,image_digest}')"

domain::Task TaskFromRow(const pqxx::row& row);
domain::Run RunFromRow(const pqxx::row& row);
domain::PublishPermit PermitFromRow(const pqxx::row& row);
domain::Step StepFromRow(const pqxx::row& row);
domain::Release ReleaseFromRow(const pqxx::row& row);
// Of the columns mode, mode_reason, mode_by, mode_since and mode_until.
domain::Availability AvailabilityFromRow(const pqxx::row& row);
domain::Resolution ResolutionFromRow(const pqxx::row& row);
domain::OpenResolution OpenResolutionFromRow(const pqxx::row& row);

// A parameter of type text[], from texts that passed IsStorableText.
class TextArrayWriter {
 public:
  void Add(std::string_view value);
  // REQUIRES: nothing is added afterwards.
  std::string Take() { return std::move(text_ += '}'); }

 private:
  std::string text_ = "{";
};

// The same of all of them.
std::string TextArray(const std::vector<std::string>& values);

WallTime TimeOf(const pqxx::field& micros);
Duration SpanOf(const pqxx::field& micros);
std::int64_t ToMicros(Duration span);
std::map<std::string, std::string> LabelsFromJson(const std::string& text);
boost::json::object LabelsToJson(const std::map<std::string, std::string>& labels);

boost::json::object ToJson(const domain::Step& step);
boost::json::object ToJson(const domain::PublishPermit& permit);
boost::json::object ToJson(const domain::Release& release);
boost::json::object ToJson(const domain::Resolution& resolution);
boost::json::object ToJson(const protocol::AttemptResult& result);
protocol::AttemptResult ResultFromJson(const std::string& text);

std::string_view KindName(protocol::TaskKind kind);
// Throws when nothing has this name.
protocol::TaskKind ParseKind(std::string_view name);
std::string_view StepStateName(protocol::StepState state);

}  // namespace slipway::store::pg
