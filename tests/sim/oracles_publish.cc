#include <algorithm>
#include <string>
#include <variant>

#include "tests/sim/oracles.h"
#include "tests/sim/sim_world.h"

// Invariant 9: what clients really did, against what was allowed and what is said of it.
namespace slipway::sim {
namespace {

// Until a platform shows what was published; below publish_margin.
constexpr Millis kShownAfter(2'500);

}  // namespace

bool Oracles::IsPreview(const TaskId& task) const {
  const domain::Task* row = world_.store.Find(task);
  return row != nullptr && row->kind == domain::TaskKind::kPreview;
}

// It may be made again however often: nobody remembers its permit, nothing is released, and its end
// is never in doubt.
void Oracles::JudgePreview(const store::Change& change) {
  const auto complain = [this](const TaskId& task, const char* what) {
    if (IsPreview(task)) Violation("9: preview " + task.value() + " gets " + what);
  };
  if (const auto* grant = std::get_if<store::GrantPermit>(&change)) {
    complain(grant->permit.key.task, "a permit that is remembered");
  } else if (const auto* unknown = std::get_if<store::MarkUnknown>(&change)) {
    complain(unknown->key.task, "an unknown outcome");
  } else if (const auto* finish = std::get_if<store::FinishTask>(&change)) {
    if (!IsPreview(finish->key.task)) return;
    Case(9);
    if (finish->release) complain(finish->key.task, "a release");
    if (finish->resolution) complain(finish->key.task, "a resolution");
    const bool in_doubt = finish->result && finish->result->failure &&
                          finish->result->failure->klass == protocol::FailureClass::kPublishUnknown;
    if (in_doubt) complain(finish->key.task, "a result that is in doubt");
  }
}

void Oracles::ClientStarted(const AttemptKey& key, const std::string& nonce, bool marker_synced,
                            bool clock_stood) {
  Case(9);
  const std::string task = key.task.value();
  if (!marker_synced) Violation("9: client of " + task + " starts without marker on disk");
  if (++clients_[key.task] > 1) Violation("9: " + task + " is published a second time");
  const auto permit = world_.store.permits().find(key.task);
  if (permit == world_.store.permits().end() || permit->second.key != key ||
      permit->second.nonce != nonce) {
    Violation("9: client of " + task + " starts without a stored permit");
    return;
  }
  for (const auto& [id, held] : world_.store.permits()) {
    const domain::Task& other = *world_.store.Find(id);
    if (id != key.task && !domain::IsTerminal(other.state) &&
        domain::ShareGroup(other, *world_.store.Find(key.task))) {
      Violation("9: client of " + task + " starts while " + id.value() +
                " publishes to the same target");
    }
  }
  // The documented limits: a measuring clock that stands still, and over a restart of the
  // controller a wall clock that is set back.
  const bool clocks_agree = !clock_stood && !controller_clock_stepped_;
  if (clocks_agree && world_.now() > granted_.at(key.task).until) {
    Violation("9: client of " + task + " starts after the end of its permit");
  }
}

void Oracles::Published(const AttemptKey& key, bool clock_stood) {
  Case(9);
  published_.try_emplace(key.task, Publication{world_.now(), clock_stood});
  // A measuring clock that stands still is the limit: the agent's late word corrects the record
  // then.
  if (!clock_stood && said_not_published_.contains(key.task)) {
    Violation("9: " + key.task.value() + " is published after it was taken that it is not");
  }
}

bool Oracles::Shown(const TaskId& task) const {
  const auto it = published_.find(task);
  return it != published_.end() && world_.now() >= it->second.at + kShownAfter;
}

void Oracles::JudgeResolution(const TaskId& task, const domain::Resolution& resolution) {
  Case(9);
  const bool not_published = resolution.verdict == domain::PublishVerdict::kNotPublished;
  if (not_published) said_not_published_.insert(task);
  if (!resolution.probe.value().empty()) {
    const auto answer = answers_.find(resolution.probe);
    const auto says =
        not_published ? protocol::ProbeVerdict::kNotPublished : protocol::ProbeVerdict::kPublished;
    if (answer == answers_.end() || answer->second != says) {
      Violation("9: " + resolution.probe.value() + " did not say what " + task.value() +
                " is resolved as");
    }
  }
  const auto published = published_.find(task);
  if (!not_published || published == published_.end()) return;
  // The same limit.
  if (!published->second.clock_stood) {
    Violation("9: " + task.value() + " is taken as not published though it was");
  }
}

}  // namespace slipway::sim
