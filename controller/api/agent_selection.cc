#include "controller/api/agent_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/status/status.h"

namespace slipway::api {
namespace {

absl::Status NoSuchAgent(const std::string& text) {
  return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_AGENT",
                   IsPattern(text) ? fmt::format("no agent has a name like '{}'", text)
                                   : fmt::format("there is no agent '{}'", text),
                   "`slipway agents list --all` names them all.");
}

}  // namespace

bool IsPattern(std::string_view text) { return text.find_first_of("*?") != std::string_view::npos; }

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  // Only the last star ever has to take one more character.
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

absl::StatusOr<domain::Agent> SelectAgent(const std::vector<domain::Agent>& agents,
                                          const std::string& name_or_id) {
  for (const domain::Agent& agent : agents) {
    if (agent.id.value() == name_or_id) return agent;
  }
  for (const domain::Agent& agent : agents) {
    if (agent.name == name_or_id) return agent;
  }
  return NoSuchAgent(name_or_id);
}

absl::StatusOr<std::vector<domain::Agent>> SelectAgents(const std::vector<domain::Agent>& agents,
                                                        const std::vector<std::string>& texts) {
  std::set<AgentId> meant;
  for (const std::string& text : texts) {
    if (!IsPattern(text)) {
      SLIPWAY_ASSIGN_OR_RETURN(const domain::Agent agent, SelectAgent(agents, text));
      meant.insert(agent.id);
      continue;
    }
    bool any = false;
    for (const domain::Agent& agent : agents) {
      if (domain::IsGone(agent.availability.mode) || !MatchesPattern(text, agent.name)) continue;
      meant.insert(agent.id);
      any = true;
    }
    if (!any) return NoSuchAgent(text);
  }
  std::vector<domain::Agent> selected;
  std::copy_if(agents.begin(), agents.end(), std::back_inserter(selected),
               [&](const domain::Agent& agent) { return meant.contains(agent.id); });
  return selected;
}

}  // namespace slipway::api
