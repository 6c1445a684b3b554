#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"
#include "controller/domain/channel.h"

namespace slipway::domain {

using protocol::TaskKind;

// A task's life: waiting → queued → offered → running → one terminal state.
//   waiting   for the task it depends on      offered → queued  refused, or the offer ran out
//   queued    may be offered to an agent      running → queued  a build whose agent was lost
//   offered   to one agent, until a deadline  running → unknown  publish only
//   running   accepted and committed          any non-terminal → canceled
// `unknown` (a publish that may have happened) is left only by its own late result, by a probe of
// the platform or by a person. The one way out of a terminal state: a publish that somebody
// resolved as not published succeeds after all when its own late result says so.
enum class TaskState {
  kWaiting = 1,
  kQueued = 2,
  kOffered = 3,
  kRunning = 4,
  kSucceeded = 5,
  kFailed = 6,
  kCanceled = 7,
  kSkipped = 8,  // what it depends on did not succeed
  kUnknown = 9,
};

// snake_case without the k: "waiting", "queued", …
[[nodiscard]] std::string_view TaskStateName(TaskState state);
[[nodiscard]] std::optional<TaskState> ParseTaskState(std::string_view name);
// Succeeded, failed, canceled, skipped: never changes again. `unknown` is not terminal.
[[nodiscard]] bool IsTerminal(TaskState state);
// The arrows above; the same state is not a transition.
[[nodiscard]] bool MayBecome(TaskState from, TaskState to, TaskKind kind);

// One submit. Expands to tasks: per platform a build and, when asked for, a publish that depends on
// it; or to one script.
struct Run {
  RunId id;
  ApplicationId application;
  std::string application_name;
  std::string ref;      // as submitted: branch, tag or commit
  std::string version;  // as submitted; may be empty (the script or the commit decides)
  std::string description;
  std::string submitted_by;
  WallTime submitted_at;
  // Client-made; the same id of the same submitter gives the same run. Never empty.
  std::string request_id;
  // What its builds are told, as submitted: name → value.
  std::map<std::string, std::string> parameters{};
  // Whom its channels reach beside those that they name themselves: "platform/name" → addresses
  // with commas between them.
  std::map<std::string, std::string> recipients{};
  // Of what its channels hand on.
  Packaging packaging{};
  // The script task that allowed it; empty: none was asked for.
  TaskId after_script{};
  // Of a run that runs a script which somebody brought; empty: none.
  std::string script_name{};
  // Its bytes, on their way into the store alone: RunReader::ScriptOf reads them.
  std::string script{};
  // Its builds begin with empty build caches.
  bool no_build_caches = false;
};

struct Task {
  TaskId id;
  RunId run;
  ApplicationId application;
  TaskKind kind = TaskKind::kBuild;
  // Of a publish to a channel: the channel's, not that of the product.
  std::string platform;
  // Name of the publish target (operator settings); empty for builds.
  std::string target;
  // Empty: depends on nothing.
  TaskId depends_on;
  // Labels an agent must have (key → value).
  std::map<std::string, std::string> requirements;
  std::int32_t priority = 0;  // -100 … 100, higher first
  // Concurrency group that the submit named, for builds; empty: none. See GroupOf.
  std::string group{};
  // How long it may wait for an agent, counted from queued_since; zero: for ever.
  Duration queue_timeout{};
  TaskState state = TaskState::kQueued;
  // Of the newest lease; 0 before the first.
  Attempt attempt;
  AgentId agent;  // holder of the newest lease
  // Attempts that began; the cap of retries counts them.
  std::int32_t starts = 0;
  // It is not offered before, after an attempt that failed; epoch 0: no pause.
  WallTime not_before{};
  // Since when it could run but for agents, its group or a pause; epoch 0 while it waits for the
  // task it depends on. A refused offer does not change it, a lost attempt begins a new wait.
  WallTime queued_since{};
  bool cancel_requested = false;
  WallTime created_at;
  // Set with the states below; epoch 0 = not yet.
  WallTime offer_deadline;
  WallTime started_at;
  WallTime finished_at;
  // Of the newest attempt that reported; present in terminal states except skipped and
  // canceled-in-queue.
  std::optional<protocol::AttemptResult> result;
};

// Tasks of one group run one at a time, in the order of their submits; a later one never ends an
// earlier one.
struct Group {
  ApplicationId application;
  // As the submit named it, or "publish:<platform>/<target>".
  std::string name;

  friend auto operator<=>(const Group&, const Group&) = default;
};

// A publish to a platform belongs to the group of its target by nature, a build to the one it
// names; nullopt: none.
[[nodiscard]] std::optional<Group> GroupOf(const Task& task);
// They belong to one group, and so run one at a time.
[[nodiscard]] bool ShareGroup(const Task& a, const Task& b);

// A step of an attempt as people see it.
struct Step {
  AttemptKey key;
  std::uint32_t number = 0;
  std::string name;
  protocol::StepState state = protocol::StepState::kStarted;
  WallTime started_at;
  WallTime finished_at;  // epoch 0 while it runs
  std::string detail;
};

// Leave to publish, once: at most one row per task, ever (docs/protocol.md, invariant 9).
struct PublishPermit {
  AttemptKey key;
  std::string nonce;
  Sha256Digest manifest;
  // The client is not started later, and is ended this long after its start.
  WallTime not_after;
  Duration deadline{};
  // When the farm learnt that the client is dead and its container gone; epoch 0: it does not know.
  WallTime client_ended_at;
  // The attempt itself has said that it does not know the outcome; it says no more.
  bool reported = false;
};

enum class PublishVerdict { kPublished = 1, kNotPublished = 2 };
// "published", "not_published".
[[nodiscard]] std::string_view PublishVerdictName(PublishVerdict verdict);

// How the outcome of a publish that nobody knew was found out.
struct Resolution {
  PublishVerdict verdict = PublishVerdict::kNotPublished;
  // Account that said so or had the platform probed.
  std::string resolved_by;
  WallTime resolved_at;
  // The probe that found it out; empty: a person's word.
  TaskId probe;
  // Why, in the resolver's words.
  std::string reason;
  // The attempt's own word that came afterwards; nullopt: none has come (yet).
  std::optional<protocol::AttemptResult> late_result;
};

// A resolved publish whose own word may still come.
struct OpenResolution {
  AttemptKey key;
  AgentId agent;
  PublishVerdict verdict = PublishVerdict::kNotPublished;
};

// What a successful publish made public.
struct Release {
  ReleaseId id;
  RunId run;
  TaskId publish_task;
  TaskId build_task;
  ApplicationId application;
  std::string application_name;
  std::string platform;
  std::string target;
  std::string version;
  std::string commit;
  Sha256Digest manifest;
  std::string link;
  // The text of the QR code (common/qr/release_code.h); decoding it leads back here.
  std::string qr_text;
  WallTime released_at;
  std::string released_by;
};

}  // namespace slipway::domain
