#include <algorithm>
#include <mutex>
#include <tuple>
#include <utility>

#include "common/status/status.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {
namespace {

using domain::JoinTokenState;

absl::Status NoAgent(const AgentId& id) {
  return absl::NotFoundError("there is no agent '" + id.value() + "'");
}

}  // namespace

absl::Status InMemoryAgentStore::AddJoinToken(const domain::JoinToken& token, const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  if (!state_.join_tokens.try_emplace(token.token_hash, token).second) {
    return absl::AlreadyExistsError("this join token exists already");
  }
  state_.tables.audit.push_back(domain::ShortId(token));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<domain::JoinToken>> InMemoryAgentStore::ListJoinTokens(bool open_only,
                                                                                  WallTime now) {
  const std::lock_guard lock(state_.mu);
  std::vector<domain::JoinToken> tokens;
  for (const auto& [hash, token] : state_.join_tokens) {
    if (!open_only || domain::StateAt(token, now) == JoinTokenState::kOpen) tokens.push_back(token);
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const auto& a, const auto& b) { return a.created_at > b.created_at; });
  return tokens;
}

absl::StatusOr<JoinTokenState> InMemoryAgentStore::RevokeJoinToken(const std::string& short_id,
                                                                   const store::Cause& cause) {
  const std::lock_guard lock(state_.mu);
  for (auto& [hash, token] : state_.join_tokens) {
    if (domain::ShortId(token) != short_id) continue;
    const JoinTokenState state = domain::StateAt(token, cause.at);
    if (state != JoinTokenState::kOpen) return state;
    token.revoked_at = cause.at;
    token.revoked_by = cause.actor;
    state_.tables.audit.push_back(short_id);
    return state;
  }
  return JoinTokenState::kUnknown;
}

absl::StatusOr<JoinTokenState> InMemoryAgentStore::Join(const std::string& token_hash,
                                                        const domain::Agent& agent, WallTime now) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.join_tokens.find(token_hash);
  if (it == state_.join_tokens.end()) return JoinTokenState::kUnknown;
  domain::JoinToken& token = it->second;
  if (const JoinTokenState state = domain::StateAt(token, now); state != JoinTokenState::kOpen) {
    state_.tables.audit.push_back(domain::ShortId(token));
    return state;
  }
  for (const auto& [id, known] : state_.tables.agents) {
    if (id == agent.id || (known.name == agent.name && !domain::IsGone(known.availability.mode))) {
      return absl::AlreadyExistsError("an agent named '" + agent.name + "' has joined already");
    }
  }
  token.used_at = now;
  token.used_by = agent.id;
  state_.tables.agents[agent.id] = agent;
  state_.tables.audit.push_back(agent.id.value());
  return JoinTokenState::kOpen;
}

absl::StatusOr<domain::Agent> InMemoryAgentStore::Get(const AgentId& id) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.agents.find(id);
  if (it == state_.tables.agents.end()) return NoAgent(id);
  return it->second;
}

absl::StatusOr<std::vector<domain::Agent>> InMemoryAgentStore::List() {
  const std::lock_guard lock(state_.mu);
  std::vector<domain::Agent> all;
  for (const auto& [id, agent] : state_.tables.agents) all.push_back(agent);
  const auto rank = [](const domain::Agent& agent) {
    return std::tuple(agent.name, domain::IsGone(agent.availability.mode),
                      -ToUnixMicros(agent.joined_at));
  };
  std::sort(all.begin(), all.end(),
            [&](const domain::Agent& a, const domain::Agent& b) { return rank(a) < rank(b); });
  return all;
}

absl::Status InMemoryAgentStore::Touch(const Seen& seen, WallTime now) {
  const std::lock_guard lock(state_.mu);
  for (const auto& [id, labels] : seen) {
    const auto it = state_.tables.agents.find(id);
    const auto unstorable = [](const auto& label) {
      return (label.first + label.second).find('\0') != std::string::npos;
    };
    if (it == state_.tables.agents.end() || std::any_of(labels.begin(), labels.end(), unstorable)) {
      continue;
    }
    it->second.labels = labels;
    it->second.last_seen = now;
  }
  return absl::OkStatus();
}

absl::Status InMemoryAgentStore::AddSuccessor(const AgentId& id,
                                              const domain::AgentCertificate& successor,
                                              WallTime now) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.agents.find(id);
  if (it == state_.tables.agents.end() || domain::IsGone(it->second.availability.mode)) {
    return NoAgent(id);
  }
  it->second.successor = successor;
  it->second.successor_since = now;
  state_.tables.audit.push_back(id.value());
  return absl::OkStatus();
}

absl::Status InMemoryAgentStore::PromoteSuccessor(const AgentId& id, const std::string& fingerprint,
                                                  WallTime) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.agents.find(id);
  if (it == state_.tables.agents.end() || fingerprint.empty() ||
      it->second.successor.fingerprint != fingerprint) {
    return NoAgent(id);
  }
  it->second.certificate = std::exchange(it->second.successor, {});
  it->second.successor_since = {};
  state_.tables.audit.push_back(id.value());
  return absl::OkStatus();
}

}  // namespace slipway::testing
