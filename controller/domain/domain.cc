#include <array>
#include <utility>

#include "controller/domain/channel.h"
#include "controller/domain/task.h"

namespace slipway::domain {
namespace {

constexpr std::array<std::pair<TaskState, std::string_view>, 9> kNames{{
    {TaskState::kWaiting, "waiting"},
    {TaskState::kQueued, "queued"},
    {TaskState::kOffered, "offered"},
    {TaskState::kRunning, "running"},
    {TaskState::kSucceeded, "succeeded"},
    {TaskState::kFailed, "failed"},
    {TaskState::kCanceled, "canceled"},
    {TaskState::kSkipped, "skipped"},
    {TaskState::kUnknown, "unknown"},
}};

}  // namespace

std::string_view TaskStateName(TaskState state) {
  for (const auto& [value, name] : kNames) {
    if (value == state) return name;
  }
  return "unspecified";
}

std::optional<TaskState> ParseTaskState(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string_view PublishVerdictName(PublishVerdict verdict) {
  return verdict == PublishVerdict::kPublished ? "published" : "not_published";
}

bool IsTerminal(TaskState state) {
  return state == TaskState::kSucceeded || state == TaskState::kFailed ||
         state == TaskState::kCanceled || state == TaskState::kSkipped;
}

std::optional<Group> GroupOf(const Task& task) {
  // Mails do not wait for each other, least of all for one of unknown outcome.
  if (task.kind == TaskKind::kPublish && !IsChannelPlatform(task.platform)) {
    return Group{task.application, "publish:" + task.platform + "/" + task.target};
  }
  if (task.group.empty()) return std::nullopt;
  return Group{task.application, task.group};
}

bool ShareGroup(const Task& a, const Task& b) {
  const auto group = GroupOf(a);
  return group && group == GroupOf(b);
}

bool MayBecome(TaskState from, TaskState to, TaskKind kind) {
  const bool publish = kind == TaskKind::kPublish;
  switch (from) {
    case TaskState::kWaiting:
      return to == TaskState::kQueued || to == TaskState::kSkipped || to == TaskState::kCanceled;
    case TaskState::kQueued:
      return to == TaskState::kOffered || to == TaskState::kCanceled || to == TaskState::kFailed;
    case TaskState::kOffered:
      return to == TaskState::kQueued || to == TaskState::kRunning || to == TaskState::kCanceled;
    case TaskState::kRunning:
      if (to == TaskState::kUnknown) return publish;
      if (to == TaskState::kQueued) return !publish;
      return to == TaskState::kSucceeded || to == TaskState::kFailed || to == TaskState::kCanceled;
    case TaskState::kUnknown: return to == TaskState::kSucceeded || to == TaskState::kFailed;
    case TaskState::kSucceeded:
    case TaskState::kFailed:
    case TaskState::kCanceled:
    case TaskState::kSkipped: return false;
  }
  return false;
}

}  // namespace slipway::domain
