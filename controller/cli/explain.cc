#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/explain_text.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

const char* ConditionName(v1::AgentCondition condition, Text t) {
  switch (condition) {
    case v1::AGENT_CONDITION_FREE: return t("free", "空闲");
    case v1::AGENT_CONDITION_BUSY: return t("busy", "忙");
    case v1::AGENT_CONDITION_RESTING: return t("refused a moment ago", "刚拒绝过");
    case v1::AGENT_CONDITION_PAUSED: return t("paused", "已暂停");
    case v1::AGENT_CONDITION_DRAINING: return t("draining", "排空中");
    case v1::AGENT_CONDITION_UNWELL: return t("not well", "状况异常");
    case v1::AGENT_CONDITION_OFFLINE: return t("offline", "离线");
    case v1::AGENT_CONDITION_NEVER_SEEN: return t("never seen", "从未连接");
    default: return "?";
  }
}

const char* DeadlineText(v1::TaskDeadline::Kind kind, Text t) {
  switch (kind) {
    case v1::TaskDeadline::KIND_OFFER_ENDS:
      return t("{}: the offer goes back to the queue", "{}：派发未被接受则退回队列");
    case v1::TaskDeadline::KIND_PAUSE_ENDS: return t("{}: the pause is over", "{}：暂停结束");
    case v1::TaskDeadline::KIND_QUEUE_TIMEOUT:
      return t("{}: fails if it still waits (QUEUE_TIMEOUT)",
               "{}：仍未开始则失败（QUEUE_TIMEOUT）");
    case v1::TaskDeadline::KIND_NO_AGENT:
      return t("{}: fails if still no agent could ever run it (NO_AGENT_MATCHES)",
               "{}：仍没有任何代理能执行则失败（NO_AGENT_MATCHES）");
    case v1::TaskDeadline::KIND_LEASE_ENDS:
      return t("{}: its agent is taken for lost unless heard of", "{}：届时仍无消息则视为代理失联");
    default: return "{}";
  }
}

std::uint32_t Count(const v1::ExplainTaskResponse& why, v1::AgentCondition condition) {
  for (const v1::ConditionCount& count : why.fitting()) {
    if (count.condition() == condition) return count.agents();
  }
  return 0;
}

// "2 busy, 1 offline"
std::string Conditions(const v1::ExplainTaskResponse& why, Text t) {
  std::string text;
  for (const v1::ConditionCount& count : why.fitting()) {
    if (!text.empty()) text += t(", ", "，");
    text += fmt::format(fmt::runtime(t("{} {}", "{} 个{}")), count.agents(),
                        ConditionName(count.condition(), t));
  }
  return text;
}

std::string WaitForAgent(const v1::ExplainTaskResponse& why, Text t) {
  std::uint32_t fitting = 0;
  for (const v1::ConditionCount& count : why.fitting()) fitting += count.agents();
  if (why.agents_existing() == 0) {
    return t("no agent has joined the farm", "农场里还没有代理");
  }
  if (fitting == 0) {
    return fmt::format(fmt::runtime(t("no agent has the labels {}", "没有代理具有标签 {}")),
                       FormatLabels(why.task().requirements()));
  }
  const std::uint32_t online =
      Count(why, v1::AGENT_CONDITION_FREE) + Count(why, v1::AGENT_CONDITION_BUSY) +
      Count(why, v1::AGENT_CONDITION_RESTING) + Count(why, v1::AGENT_CONDITION_PAUSED) +
      Count(why, v1::AGENT_CONDITION_DRAINING) + Count(why, v1::AGENT_CONDITION_UNWELL);
  if (online == 0) {
    return fmt::format(
        fmt::runtime(t("no agent that fits is online ({})", "没有合适的代理在线（{}）")),
        Conditions(why, t));
  }
  return fmt::format(fmt::runtime(t("the agents that fit: {}", "合适的代理：{}")),
                     Conditions(why, t));
}

std::string WaitInGroup(const v1::GroupPlace& group, Text t) {
  std::string text;
  if (group.holders().empty()) {
    text = fmt::format(fmt::runtime(t("not its turn in the group {}", "在并发组 {} 中还没有轮到")),
                       group.name());
  } else {
    const v1::Task& holder = group.holders(0);
    text = fmt::format(
        fmt::runtime(t("the group {} is held by {} ({})", "并发组 {} 由 {} 占用（{}）")),
        group.name(), holder.id(), StateName(holder.state(), t));
  }
  if (!group.holders().empty() && group.holders(0).state() == v1::TASK_STATE_UNKNOWN) {
    text += t(" until somebody resolves it", "，需有人裁定其结果");
  }
  if (group.ahead() > 0) {
    text += fmt::format(fmt::runtime(t("; {} before it", "；前面还有 {} 个")), group.ahead());
  }
  return text;
}

std::string Unmet(const v1::AgentFit& agent, Text t) {
  std::string text;
  for (const v1::UnmetRequirement& unmet : agent.unmet()) {
    if (!text.empty()) text += ", ";
    text += unmet.has_other() ? fmt::format(fmt::runtime(t("{}={} (has {})", "{}={}（现为 {}）")),
                                            unmet.key(), unmet.wanted(), unmet.has())
                              : fmt::format("{}={}", unmet.key(), unmet.wanted());
  }
  return text;
}

std::string Agents(const v1::ExplainTaskResponse& why, Text t) {
  Table table({t("AGENT", "代理"), t("FITS", "合适"), t("STATE", "状态"), t("BUSY", "忙/槽位"),
               t("MISSES", "缺少")});
  for (const v1::AgentFit& agent : why.agents()) {
    table.Add({agent.name().empty() ? agent.id() : agent.name(),
               agent.unmet().empty() ? t("yes", "是") : t("no", "否"),
               ConditionName(agent.condition(), t),
               agent.slots() > 0 ? fmt::format("{}/{}", agent.busy(), agent.slots()) : "",
               Unmet(agent, t)});
  }
  std::string text = table.Render();
  const auto shown = static_cast<std::uint32_t>(why.agents_size());
  if (why.agents_existing() > shown) {
    text += fmt::format(fmt::runtime(t("… and {} more\n", "…… 还有 {} 个\n")),
                        why.agents_existing() - shown);
  }
  return text;
}

// Whose tasks they are, one a line.
void AddAhead(const google::protobuf::RepeatedPtrField<v1::Task>& first, std::uint32_t all,
              Facts& facts, Text t) {
  for (const v1::Task& task : first) {
    facts.Add("", fmt::format("{}  {}  {}  {}", task.id(), task.application(), TaskTitle(task, t),
                              task.submitted_by()));
  }
  const auto named = static_cast<std::uint32_t>(first.size());
  if (named > 0 && all > named) {
    facts.Add("", fmt::format(fmt::runtime(t("… and {} more", "…… 还有 {} 个")), all - named));
  }
}

}  // namespace

std::string WaitText(const v1::ExplainTaskResponse& why, Text t) {
  switch (why.await()) {
    case v1::AWAIT_DEPENDENCY:
      return fmt::format(fmt::runtime(t("{} is {}", "{} {}")), why.task().depends_on(),
                         StateName(why.dependency().state(), t));
    case v1::AWAIT_PAUSE: return t("pauses after a failed attempt", "上次尝试失败后暂停");
    case v1::AWAIT_GROUP: return WaitInGroup(why.group(), t);
    case v1::AWAIT_AGENT: return WaitForAgent(why, t);
    case v1::AWAIT_ANSWER:
      // The agent may have left since.
      if (why.task().agent().empty())
        return t("an agent thinks about the offer", "已派发，等待应答");
      return fmt::format(fmt::runtime(t("{} thinks about the offer", "已派发给 {}，等待应答")),
                         why.task().agent());
    case v1::AWAIT_RESOLUTION:
      return fmt::format(
          fmt::runtime(t("somebody says whether it was published: slipway releases resolve {}",
                         "需有人裁定是否已发布：slipway releases resolve {}")),
          why.task().id());
    default: return "";
  }
}

std::string RenderExplanation(const v1::ExplainTaskResponse& why, const View& view) {
  const Text t = view.text;
  const v1::Task& task = why.task();
  Facts facts;
  facts.Add(t("task", "任务"), task.id());
  facts.Add(t("what", "内容"), fmt::format("{}  {}", task.application(), TaskTitle(task, t)));
  facts.Add(t("state", "状态"), StateName(task.state(), t));
  facts.Add(t("agent", "代理"), task.agent());
  facts.Add(t("waits", "等待原因"), WaitText(why, t));
  facts.Add(t("requires", "所需标签"), FormatLabels(task.requirements()));
  if (task.priority() != 0) facts.Add(t("priority", "优先级"), std::to_string(task.priority()));
  if (why.await() == v1::AWAIT_AGENT) {
    facts.Add(t("ahead of it", "前面的任务"), std::to_string(why.ahead()));
    AddAhead(why.first_ahead(), why.ahead(), facts, t);
  }
  if (why.has_group()) {
    const v1::GroupPlace& group = why.group();
    facts.Add(t("group", "并发组"),
              fmt::format(fmt::runtime(t("{}, {} unfinished", "{}，{} 个未结束")), group.name(),
                          group.members()));
    for (const v1::Task& holder : group.holders()) {
      facts.Add(t("held by", "占用者"),
                fmt::format("{}  {}", holder.id(), StateName(holder.state(), t)));
    }
    if (group.ahead() > 0) {
      facts.Add(t("before it in the group", "组内前面的任务"), std::to_string(group.ahead()));
    }
    AddAhead(group.first_ahead(), group.ahead(), facts, t);
  }
  if (task.starts() > 0) facts.Add(t("starts", "已开始次数"), std::to_string(task.starts()));
  std::string text = facts.Render();
  for (const v1::TaskDeadline& deadline : why.deadlines()) {
    text += fmt::format(fmt::runtime(DeadlineText(deadline.kind(), t)), FormatTime(deadline.at()));
    text += '\n';
  }
  const bool matters = why.await() != v1::AWAIT_NOTHING && why.await() != v1::AWAIT_RESOLUTION &&
                       why.agents_existing() > 0;
  if (matters) text += "\n" + Agents(why, t);
  return text;
}

Outcome ExplainTask(Session& session, const std::string& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ExplainTaskRequest request;
  request.set_id(id);
  v1::ExplainTaskResponse why;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::ExplainTask, request, why));
  session.Print(why, RenderExplanation);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
