#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/domain/agent.h"

// Which agents people mean. Pure functions.
namespace slipway::api {

// Holds * or ?.
[[nodiscard]] bool IsPattern(std::string_view text);
// `*` stands for any characters, also none, `?` for exactly one.
[[nodiscard]] bool MatchesPattern(std::string_view pattern, std::string_view text);

// The agent with this id, else the one with this name: the one that is not gone, else the one that
// joined last. `agents` as AgentStore::List() orders them. kNotFound, reason NO_SUCH_AGENT.
[[nodiscard]] absl::StatusOr<domain::Agent> SelectAgent(const std::vector<domain::Agent>& agents,
                                                        const std::string& name_or_id);

// What names, ids and patterns mean together, each agent once, in the order of `agents`. Patterns
// mean agents that are not gone. kNotFound, reason NO_SUCH_AGENT: one of the texts means none.
[[nodiscard]] absl::StatusOr<std::vector<domain::Agent>> SelectAgents(
    const std::vector<domain::Agent>& agents, const std::vector<std::string>& texts);

}  // namespace slipway::api
