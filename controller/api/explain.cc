#include "controller/api/explain.h"

#include <cstdint>
#include <map>
#include <utility>

#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/api/convert.h"
#include "controller/api/task_actions.h"

namespace slipway::api {
namespace {

// A page of people's attention; the counts are of all.
constexpr int kMaxAgents = 100;

v1::Await ToProto(scheduler::Await await) {
  switch (await) {
    case scheduler::Await::kNothing: return v1::AWAIT_NOTHING;
    case scheduler::Await::kDependency: return v1::AWAIT_DEPENDENCY;
    case scheduler::Await::kPause: return v1::AWAIT_PAUSE;
    case scheduler::Await::kGroup: return v1::AWAIT_GROUP;
    case scheduler::Await::kAgent: return v1::AWAIT_AGENT;
    case scheduler::Await::kAnswer: return v1::AWAIT_ANSWER;
    case scheduler::Await::kResolution: return v1::AWAIT_RESOLUTION;
  }
  return v1::AWAIT_UNSPECIFIED;
}

v1::AgentCondition ToProto(scheduler::AgentCondition condition) {
  switch (condition) {
    case scheduler::AgentCondition::kFree: return v1::AGENT_CONDITION_FREE;
    case scheduler::AgentCondition::kBusy: return v1::AGENT_CONDITION_BUSY;
    case scheduler::AgentCondition::kResting: return v1::AGENT_CONDITION_RESTING;
    case scheduler::AgentCondition::kPaused: return v1::AGENT_CONDITION_PAUSED;
    case scheduler::AgentCondition::kDraining: return v1::AGENT_CONDITION_DRAINING;
    case scheduler::AgentCondition::kUnwell: return v1::AGENT_CONDITION_UNWELL;
    case scheduler::AgentCondition::kOffline: return v1::AGENT_CONDITION_OFFLINE;
    case scheduler::AgentCondition::kNeverSeen: return v1::AGENT_CONDITION_NEVER_SEEN;
  }
  return v1::AGENT_CONDITION_UNSPECIFIED;
}

v1::TaskDeadline::Kind ToProto(scheduler::Deadline::Kind kind) {
  switch (kind) {
    case scheduler::Deadline::Kind::kOfferEnds: return v1::TaskDeadline::KIND_OFFER_ENDS;
    case scheduler::Deadline::Kind::kPauseEnds: return v1::TaskDeadline::KIND_PAUSE_ENDS;
    case scheduler::Deadline::Kind::kQueueTimeout: return v1::TaskDeadline::KIND_QUEUE_TIMEOUT;
    case scheduler::Deadline::Kind::kNoAgent: return v1::TaskDeadline::KIND_NO_AGENT;
    case scheduler::Deadline::Kind::kLeaseEnds: return v1::TaskDeadline::KIND_LEASE_ENDS;
  }
  return v1::TaskDeadline::KIND_UNSPECIFIED;
}

v1::AgentFit ToProto(const scheduler::AgentFit& fit) {
  v1::AgentFit out;
  out.set_id(fit.agent.value());
  out.set_name(fit.name);
  out.set_condition(ToProto(fit.condition));
  out.set_slots(fit.slots);
  out.set_busy(fit.held);
  for (const auto& unmet : fit.unmet) {
    v1::UnmetRequirement* requirement = out.add_unmet();
    requirement->set_key(unmet.key);
    requirement->set_wanted(unmet.wanted);
    requirement->set_has_other(unmet.has.has_value());
    requirement->set_has(unmet.has.value_or(""));
  }
  return out;
}

// Without steps; the agent as the farm calls it.
absl::StatusOr<v1::Task> TaskOf(const Deps& deps, const access::Caller& caller, const TaskId& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps.reader.GetTask(id));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string agent, AgentName(deps, found.task.agent));
  v1::Task out = api::ToProto(found.task, found.run, agent);
  SLIPWAY_RETURN_IF_ERROR(AddActions(deps, caller, {ShownTask{&found.task, &out}}));
  return out;
}

}  // namespace

v1::ExplainTaskResponse ToProto(const scheduler::Explanation& why) {
  v1::ExplainTaskResponse out;
  out.set_await(ToProto(why.await));
  if (why.group) {
    out.mutable_group()->set_name(why.group->name);
    out.mutable_group()->set_ahead(static_cast<std::uint32_t>(why.group->ahead));
    out.mutable_group()->set_members(static_cast<std::uint32_t>(why.group->members));
  }
  out.set_ahead(static_cast<std::uint32_t>(why.ahead.tasks));
  out.set_agents_existing(static_cast<std::uint32_t>(why.agents.size()));
  std::map<v1::AgentCondition, std::uint32_t> fitting;
  for (const scheduler::AgentFit& fit : why.agents) {
    if (fit.unmet.empty()) ++fitting[ToProto(fit.condition)];
    if (out.agents_size() < kMaxAgents) *out.add_agents() = ToProto(fit);
  }
  for (const auto& [condition, agents] : fitting) {
    v1::ConditionCount* count = out.add_fitting();
    count->set_condition(condition);
    count->set_agents(agents);
  }
  for (const scheduler::Deadline& deadline : why.deadlines) {
    v1::TaskDeadline* due = out.add_deadlines();
    due->set_kind(ToProto(deadline.kind));
    *due->mutable_at() = rpc::ToProto(deadline.at);
  }
  return out;
}

absl::StatusOr<v1::ExplainTaskResponse> ExplainTask(const Deps& deps, const access::Caller& caller,
                                                    const TaskId& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto why, deps.scheduler.Explain(id));
  v1::ExplainTaskResponse out;
  out.set_await(v1::AWAIT_NOTHING);
  if (why) {
    out = ToProto(*why);
    // Applications share agents, but not what they build.
    for (const TaskId& before : why->ahead.first) {
      SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps.reader.GetTask(before));
      const domain::Question sight{.application = found.task.application};
      const absl::Status seen =
          deps.auth.access().Check(caller, sight, absl::NotFoundError("not seen"));
      if (absl::IsNotFound(seen)) continue;
      SLIPWAY_RETURN_IF_ERROR(seen);
      SLIPWAY_ASSIGN_OR_RETURN(*out.add_first_ahead(), TaskOf(deps, caller, before));
    }
    if (!why->depends_on.value().empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(*out.mutable_dependency(), TaskOf(deps, caller, why->depends_on));
    }
    if (why->group) {
      for (const TaskId& holder : why->group->holders) {
        SLIPWAY_ASSIGN_OR_RETURN(*out.mutable_group()->add_holders(), TaskOf(deps, caller, holder));
      }
      for (const TaskId& before : why->group->first) {
        SLIPWAY_ASSIGN_OR_RETURN(*out.mutable_group()->add_first_ahead(),
                                 TaskOf(deps, caller, before));
      }
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(*out.mutable_task(), TaskOf(deps, caller, id));
  return out;
}

}  // namespace slipway::api
