#include "controller/api/convert.h"

#include "common/git/repository_url.h"
#include "common/rpc/convert.h"

namespace slipway::api {
namespace {

void SetTime(google::protobuf::Timestamp* field, WallTime time) { *field = rpc::ToProto(time); }

bool IsSet(WallTime time) { return time != WallTime(); }

}  // namespace

v1::Application ToProto(const domain::Application& application) {
  v1::Application out;
  out.set_id(application.id.value());
  out.set_name(application.name);
  // Of URLs from before passwords were refused.
  out.set_repository(git::WithoutPassword(application.repository));
  out.set_description(application.description);
  SetTime(out.mutable_created_at(), application.created_at);
  for (const auto& [key, value] : application.requirements) {
    (*out.mutable_requirements())[key] = value;
  }
  if (application.queue_timeout > Duration::zero()) {
    *out.mutable_queue_timeout() = rpc::ToProtoDuration(application.queue_timeout);
  }
  out.set_etag(std::to_string(application.revision));
  return out;
}

v1::RepositoryCredential ToProto(const domain::RepositoryCredential& credential) {
  v1::RepositoryCredential out;
  out.set_access(static_cast<v1::RepositoryAccess>(credential.access));
  out.set_username(credential.username);
  out.set_fingerprint(credential.fingerprint);
  out.set_pinned_hosts(credential.pinned_hosts);
  SetTime(out.mutable_set_at(), credential.set_at);
  out.set_set_by(credential.set_by);
  return out;
}

v1::Task ToProto(const domain::Task& task, const domain::Run& run, const std::string& agent_name) {
  v1::Task out;
  out.set_id(task.id.value());
  out.set_run(task.run.value());
  out.set_application(run.application_name);
  out.set_kind(static_cast<v1::TaskKind>(task.kind));
  out.set_platform(task.platform);
  out.set_target(task.target);
  out.set_state(static_cast<v1::TaskState>(task.state));
  out.set_attempt(task.attempt.value());
  out.set_agent(agent_name);
  out.set_cancel_requested(task.cancel_requested);
  out.set_ref(run.ref);
  out.set_version(run.version);
  out.set_submitted_by(run.submitted_by);
  SetTime(out.mutable_created_at(), task.created_at);
  if (IsSet(task.started_at)) SetTime(out.mutable_started_at(), task.started_at);
  if (IsSet(task.finished_at)) SetTime(out.mutable_finished_at(), task.finished_at);
  out.set_depends_on(task.depends_on.value());
  for (const auto& [key, value] : task.requirements) (*out.mutable_requirements())[key] = value;
  out.set_priority(task.priority);
  if (const auto group = domain::GroupOf(task)) out.set_group(group->name);
  if (task.queue_timeout > Duration::zero()) {
    *out.mutable_queue_timeout() = rpc::ToProtoDuration(task.queue_timeout);
  }
  out.set_starts(task.starts);
  out.mutable_parameters()->insert(run.parameters.begin(), run.parameters.end());
  out.set_script_name(run.script_name);
  if (task.result) {
    *out.mutable_result() = rpc::ToProto(*task.result);
    // Opens for nobody but the farm, and is of no use to anybody else.
    out.mutable_result()->mutable_build()->clear_sealed_credential();
    if (!task.result->build) out.mutable_result()->clear_build();
    if (task.result->build && !task.result->build->version.empty()) {
      out.set_version(task.result->build->version);
    }
  }
  return out;
}

v1::Step ToProto(const domain::Step& step) {
  v1::Step out;
  out.set_attempt(step.key.attempt.value());
  out.set_number(step.number);
  out.set_name(step.name);
  out.set_state(static_cast<v1::StepState>(step.state));
  SetTime(out.mutable_started_at(), step.started_at);
  if (IsSet(step.finished_at)) SetTime(out.mutable_finished_at(), step.finished_at);
  out.set_detail(step.detail);
  return out;
}

v1::Release ToProto(const domain::Release& release) {
  v1::Release out;
  out.set_id(release.id.value());
  out.set_run(release.run.value());
  out.set_publish_task(release.publish_task.value());
  out.set_build_task(release.build_task.value());
  out.set_application(release.application_name);
  out.set_platform(release.platform);
  out.set_target(release.target);
  out.set_version(release.version);
  out.set_commit(release.commit);
  out.set_manifest(rpc::ToProto(release.manifest));
  out.set_link(release.link);
  out.set_qr_text(release.qr_text);
  SetTime(out.mutable_released_at(), release.released_at);
  out.set_released_by(release.released_by);
  return out;
}

v1::Resolution ToProto(const domain::Resolution& resolution) {
  v1::Resolution out;
  out.set_verdict(static_cast<v1::PublishVerdict>(resolution.verdict));
  out.set_resolved_by(resolution.resolved_by);
  SetTime(out.mutable_resolved_at(), resolution.resolved_at);
  out.set_probe_task(resolution.probe.value());
  out.set_reason(resolution.reason);
  if (resolution.late_result) *out.mutable_late_result() = rpc::ToProto(*resolution.late_result);
  return out;
}

std::optional<domain::TaskState> StateFromProto(v1::TaskState state) {
  if (state < v1::TASK_STATE_WAITING || state > v1::TASK_STATE_UNKNOWN) return std::nullopt;
  return static_cast<domain::TaskState>(state);
}

}  // namespace slipway::api
