#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slipway::protocol {

// Why a task did not succeed. The class decides about retries and about who has to act; it is on
// the wire and in the database, so values are never renumbered or reused.
enum class FailureClass {
  kBuild = 1,            // the script, the ref or slipway.yaml: the developer mends it
  kTimeout = 2,          // run or no-output limit reached
  kCanceled = 3,         // somebody said so
  kAgentLost = 4,        // the agent or its container went away in the middle
  kInfrastructure = 5,   // the farm itself: image missing, Engine, disk
  kPolicy = 6,           // refused by a rule: limits, paths outside the workspace
  kCredential = 7,       // missing, sealed for somebody else, or refused by the platform
  kPlatformRefused = 8,  // the platform's cloud said no
  kNetwork = 9,          // repository or platform not reachable; nothing was published
  kPublishUnknown = 10,  // the publish may or may not have happened; never retried
};

// snake_case as users and JSON see it: "build", "platform_refused", …
[[nodiscard]] std::string_view FailureClassName(FailureClass klass);
[[nodiscard]] std::optional<FailureClass> ParseFailureClass(std::string_view name);

// A failed task, as data. A failed *call* is an absl::Status instead.
struct Failure {
  FailureClass klass = FailureClass::kInfrastructure;
  // UPPER_SNAKE_CASE from docs/errors.md; what programs switch on.
  std::string reason;
  // One or two sentences: what is wrong.
  std::string message;
  // The tool's or platform's own words, verbatim, masked, at most 4 KiB; empty when there are none.
  std::string tool_words;
  // What to do, in English and Chinese; may be empty.
  std::string remedy;
  std::string remedy_zh;

  friend bool operator==(const Failure&, const Failure&) = default;
};

}  // namespace slipway::protocol
