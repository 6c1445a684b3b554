#include <fmt/format.h>

#include "controller/cli/format.h"
#include "controller/cli/render.h"
#include "controller/cli/render_health.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// What is wanted of it, or nothing to say.
const char* ModeText(const v1::Agent& agent, Text t) {
  switch (agent.mode()) {
    case v1::AGENT_MODE_PAUSED: return t("paused", "已暂停");
    case v1::AGENT_MODE_DRAINING:
      return agent.busy() > 0 ? t("draining", "排空中") : t("drained", "已排空");
    case v1::AGENT_MODE_RETIRING: return t("retiring", "退役中");
    case v1::AGENT_MODE_RETIRED: return t("retired", "已退役");
    case v1::AGENT_MODE_REVOKED: return t("revoked", "已吊销");
    default: return agent.stopping() ? t("stopping", "停止中") : "";
  }
}

std::string StateText(const v1::Agent& agent, Text t) {
  const std::string mode = ModeText(agent, t);
  const bool gone =
      agent.mode() == v1::AGENT_MODE_RETIRED || agent.mode() == v1::AGENT_MODE_REVOKED;
  if (gone) return mode;
  if (agent.online()) return mode.empty() ? t("online", "在线") : mode;
  const std::string offline = t("offline", "离线");
  return mode.empty() ? offline : offline + t(", ", "，") + mode;
}

// "by admin since 2024-05-01 12:30:05, until 2024-05-01 14:30:05"; empty: nobody decided anything.
std::string StoryText(const v1::Agent& agent, Text t) {
  if (agent.mode_by().empty()) return "";
  std::string text = fmt::format(fmt::runtime(t("by {} since {}", "由 {} 自 {} 起")),
                                 agent.mode_by(), FormatTime(agent.mode_since()));
  if (agent.has_mode_until()) {
    text += fmt::format(fmt::runtime(t(", until {}", "，至 {}")), FormatTime(agent.mode_until()));
  }
  return text;
}

std::string HeldTable(const v1::Agent& agent, Text t) {
  Table table({t("TASK", "任务"), t("ATTEMPT", "尝试"), t("KIND", "类型"), t("APPLICATION", "应用"),
               t("PLATFORM", "平台"), t("STARTED", "开始时间")});
  for (const v1::HeldTask& held : agent.held()) {
    table.Add({held.task(), std::to_string(held.attempt()), KindName(held.kind(), t),
               held.application(), held.platform(),
               held.has_started_at() ? FormatTime(held.started_at()) : t("offered", "已分配")});
  }
  return table.Render();
}

}  // namespace

std::string RenderAgents(const v1::ListAgentsResponse& agents, const View& view) {
  const Text t = view.text;
  if (agents.agents().empty()) {
    return t("no agents; `slipway agents token` makes a join token for one\n",
             "没有代理；用 `slipway agents token` 生成加入令牌\n");
  }
  Table table({t("AGENT", "代理"), t("STATE", "状态"), t("HEALTH", "健康"), t("BUSY", "忙/槽位"),
               t("VERSION", "版本"), t("LAST SEEN", "最近联系"),
               t("CERTIFICATE UNTIL", "证书有效期至"), t("LABELS", "标签"), t("REASON", "原因")});
  std::string troubles;
  for (const v1::Agent& agent : agents.agents()) {
    const std::string trouble = RenderTroubles(agent.health(), "  ", view);
    if (!trouble.empty()) troubles += fmt::format("\n{}:\n{}", OneLine(agent.name()), trouble);
    table.Add({agent.name(), StateText(agent, t),
               agent.has_health() ? HealthWord(agent.health(), view) : "",
               agent.online() ? fmt::format("{}/{}", agent.busy(), agent.slots()) : "",
               agent.version(), FormatTime(agent.last_seen()),
               FormatTime(agent.certificate_not_after()), FormatLabels(agent.labels()),
               agent.mode_reason()});
  }
  return table.Render() + troubles;
}

std::string RenderAgent(const v1::Agent& agent, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("agent", "代理"), agent.name());
  facts.Add("id", agent.id());
  facts.Add(t("state", "状态"), StateText(agent, t));
  facts.Add(t("reason", "原因"), agent.mode_reason());
  facts.Add(t("decided", "操作"), StoryText(agent, t));
  facts.Add(t("labels", "标签"), FormatLabels(agent.labels()));
  facts.Add(t("slots", "槽位"),
            agent.online() ? fmt::format("{}/{}", agent.busy(), agent.slots()) : "");
  facts.Add(t("version", "版本"), agent.version());
  facts.Add(t("last seen", "最近联系"), FormatTime(agent.last_seen()));
  facts.Add(t("joined", "加入时间"), FormatTime(agent.joined_at()));
  facts.Add(t("certificate until", "证书有效期至"),
            FormatTime(agent.certificate_not_after()) +
                (agent.certificate_renewing() ? t(" (being renewed)", "（更新中）") : ""));
  std::string text = facts.Render();
  if (agent.has_health()) {
    text += RenderHealth(agent.health(), "", view);
    if (const std::string trouble = RenderTroubles(agent.health(), "  ", view); !trouble.empty()) {
      text += "\n" + trouble;
    }
  }
  if (!agent.held().empty()) text += "\n" + HeldTable(agent, t);
  return text;
}

std::string RenderChangedAgents(const v1::ChangeAgentsResponse& changed, const View& view) {
  const Text t = view.text;
  std::string text;
  for (const v1::ChangedAgent& one : changed.agents()) {
    text += OneLine(fmt::format("{}: {}{}", one.agent().name(), StateText(one.agent(), t),
                                one.changed() ? "" : t(" (no change)", "（无变化）"))) +
            "\n";
  }
  return text;
}

std::string RenderJoinTokens(const v1::ListJoinTokensResponse& tokens, const View& view) {
  const Text t = view.text;
  if (tokens.tokens().empty()) return t("no join tokens\n", "没有加入令牌\n");
  Table table({t("TOKEN", "令牌"), t("STATE", "状态"), t("MADE BY", "创建人"),
               t("MADE", "创建时间"), t("ENDS", "失效时间"), t("USED BY", "使用者"),
               t("REVOKED BY", "吊销人")});
  for (const v1::JoinToken& token : tokens.tokens()) {
    const std::string& state = token.state();
    table.Add({token.id(),
               state == "open"      ? t("open", "可用")
               : state == "used"    ? t("used", "已使用")
               : state == "expired" ? t("expired", "已过期")
               : state == "revoked" ? t("revoked", "已吊销")
                                    : state,
               token.created_by(), FormatTime(token.created_at()), FormatTime(token.expires_at()),
               token.used_by_name(), token.revoked_by()});
  }
  return table.Render();
}

}  // namespace slipway::cli
