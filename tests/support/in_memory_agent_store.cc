#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

#include "common/status/status.h"
#include "tests/support/in_memory_creation.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {
namespace {

using domain::JoinTokenState;

absl::Status NoAgent(const AgentId& id) {
  return absl::NotFoundError("there is no agent '" + id.value() + "'");
}

}  // namespace

absl::Status InMemoryAgentStore::AddJoinToken(const domain::JoinToken& token,
                                              const store::Cause& cause) {
  const std::lock_guard lock(state_.mu);
  if (state_.join_tokens.contains(token.token_hash)) {
    return absl::AlreadyExistsError("this join token exists already");
  }
  SLIPWAY_ASSIGN_OR_RETURN(
      const bool made, ClaimRequest(state_, cause, "join token",
                                    std::to_string((token.expires_at - token.created_at).count())));
  if (made) {
    return MakeError(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE",
                     "the same request has made a join token before");
  }
  state_.join_tokens.emplace(token.token_hash, token);
  state_.tables.audit.push_back(domain::ShortId(token));
  return absl::OkStatus();
}

absl::StatusOr<store::Page<domain::JoinToken>> InMemoryAgentStore::ListJoinTokens(
    bool open_only, WallTime now, const store::PageRequest& page) {
  const std::lock_guard lock(state_.mu);
  // Newest first: the keys are negative times.
  std::map<std::pair<std::int64_t, std::string>, domain::JoinToken> tokens;
  for (const auto& [hash, token] : state_.join_tokens) {
    if (open_only && domain::StateAt(token, now) != JoinTokenState::kOpen) continue;
    tokens.emplace(std::pair(-ToUnixMicros(token.created_at), domain::ShortId(token)), token);
  }
  store::Page<domain::JoinToken> listed;
  listed.total = static_cast<std::int64_t>(tokens.size());
  auto it = tokens.begin();
  if (!page.token.empty()) {
    const std::size_t colon = page.token.find(':');
    std::int64_t micros = 0;
    const char* const end = page.token.data() + std::min(colon, page.token.size());
    const auto parsed = std::from_chars(page.token.data(), end, micros);
    if (colon == std::string::npos || parsed.ec != std::errc() || parsed.ptr != end) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN", "not of this list");
    }
    it = tokens.upper_bound({-micros, page.token.substr(colon + 1)});
  }
  for (; it != tokens.end(); ++it) {
    if (listed.objects.size() == static_cast<std::size_t>(page.size)) {
      const domain::JoinToken& last = listed.objects.back();
      listed.next_page_token =
          std::to_string(ToUnixMicros(last.created_at)) + ":" + domain::ShortId(last);
      break;
    }
    listed.objects.push_back(it->second);
  }
  return listed;
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
