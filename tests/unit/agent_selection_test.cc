#include "controller/api/agent_selection.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace slipway::api {
namespace {

using domain::AgentMode;
using testing::StatusIs;

// As the store orders them.
std::vector<domain::Agent> Agents() {
  std::vector<domain::Agent> agents;
  const auto add = [&](const char* id, const char* name, AgentMode mode) {
    domain::Agent& agent = agents.emplace_back();
    agent.id = AgentId(id);
    agent.name = name;
    agent.availability.mode = mode;
  };
  add("1", "linux-1", AgentMode::kActive);
  add("2", "mac-1", AgentMode::kPaused);
  add("3", "mac-1", AgentMode::kRevoked);
  add("4", "mac-2", AgentMode::kActive);
  add("5", "mac-3", AgentMode::kRetired);
  return agents;
}

std::vector<std::string> Selected(const std::vector<std::string>& texts) {
  const auto selected = SelectAgents(Agents(), texts);
  REQUIRE_OK(selected);
  std::vector<std::string> ids;
  for (const auto& agent : *selected) ids.push_back(agent.id.value());
  return ids;
}

TEST_CASE("Patterns: * is any text, ? one character, everything else itself", "[unit][api]") {
  const std::vector<std::tuple<std::string, std::string, bool>> cases = {
      {"*", "", true},
      {"*", "mac", true},
      {"mac-*", "mac-1", true},
      {"mac-*", "mac", false},
      {"?ac", "mac", true},
      {"?ac", "ac", false},
      {"*-1", "a-2-1", true},
      {"*a*b", "xaaxb", true},
      {"*a*b", "xaaxbc", false},
      {"a**c", "abc", true},
      {"mac", "mac", true},
      {"mac", "mac-1", false},
      {"m?c-*1", "mac-21", true},
      {"", "", true},
      {"", "a", false},
  };
  for (const auto& [pattern, text, matches] : cases) {
    INFO(pattern << " " << text);
    CHECK(MatchesPattern(pattern, text) == matches);
  }
}

TEST_CASE("Agents: a name means the one that is there, an id the one it names", "[unit][api]") {
  CHECK(Selected({"mac-1"}) == std::vector<std::string>{"2"});
  CHECK(Selected({"3"}) == std::vector<std::string>{"3"});
  CHECK(Selected({"mac-3"}) == std::vector<std::string>{"5"});
  CHECK_THAT(SelectAgents(Agents(), {"linux-1", "win-1"}).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_AGENT"));
}

TEST_CASE("Agents: a pattern means all that are there, each once; one that fits none is an error",
          "[unit][api]") {
  CHECK(Selected({"mac-*"}) == std::vector<std::string>{"2", "4"});
  CHECK(Selected({"*", "mac-1", "4"}) == std::vector<std::string>{"1", "2", "4"});
  CHECK_THAT(SelectAgents(Agents(), {"win-*"}).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_AGENT"));
}

}  // namespace
}  // namespace slipway::api
