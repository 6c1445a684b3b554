#pragma once

#include <cstdint>
#include <string>

#include "common/base/strong_type.h"

// The identifiers of the vocabulary in docs/architecture.md. Texts are made by the controller
// (`NewId`), are URL-safe and at most 64 bytes; an empty one means "none".
namespace slipway {

using FarmId = StrongType<struct FarmIdTag, std::string>;
using ApplicationId = StrongType<struct ApplicationIdTag, std::string>;  // UUID
using RunId = StrongType<struct RunIdTag, std::string>;
using TaskId = StrongType<struct TaskIdTag, std::string>;
using ReleaseId = StrongType<struct ReleaseIdTag, std::string>;
using AgentId = StrongType<struct AgentIdTag, std::string>;
using AccountId = StrongType<struct AccountIdTag, std::string>;
using GroupId = StrongType<struct GroupIdTag, std::string>;
using LoginId = StrongType<struct LoginIdTag, std::string>;
using ApiTokenId = StrongType<struct ApiTokenIdTag, std::string>;

// Number of one lease of a task, from 1, rising: the fencing token. 0 means "never leased".
using Attempt = StrongType<struct AttemptTag, std::int64_t>;
// Number of a controller's term of leadership; agents ignore messages of a lower one.
using Epoch = StrongType<struct EpochTag, std::int64_t>;
// One connection of one agent, unique within one controller process.
using SessionId = StrongType<struct SessionIdTag, std::uint64_t>;

// One lease of one task. Everything an agent says about its work carries this pair.
struct AttemptKey {
  TaskId task;
  Attempt attempt;

  friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const AttemptKey& k) {
    return H::combine(std::move(h), k.task, k.attempt);
  }
};

// 128 random bits from the operating system as 26 lower-case base32 characters behind `prefix`
// ("run-", "task-", …). Thread-safe.
std::string NewId(const char* prefix);

// A random (version 4) UUID in its usual text form. Thread-safe.
std::string NewUuid();

}  // namespace slipway
