#include "tests/sim/oracles.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"
#include "tests/sim/sim_world.h"

namespace slipway::sim {

using domain::TaskKind;
using domain::TaskState;
using protocol::FailureClass;
using protocol::Want;

namespace {

constexpr std::string_view kSecret = "SECRET-";

bool MayRetry(FailureClass klass) {
  return klass == FailureClass::kAgentLost || klass == FailureClass::kInfrastructure ||
         klass == FailureClass::kNetwork;
}

template <typename Event, typename Match>
bool Holds(const std::vector<scheduler::Event>& events, Match match) {
  return std::any_of(events.begin(), events.end(), [&](const scheduler::Event& event) {
    const auto* found = std::get_if<Event>(&event);
    return found != nullptr && match(*found);
  });
}

}  // namespace

std::string NameOf(const AttemptKey& key) {
  return key.task.value() + "/" + std::to_string(key.attempt.value());
}

std::string SecretOf(const TaskId& task) { return std::string(kSecret) + task.value(); }

// ---- what an agent does

void Oracles::Received(int agent, Epoch told_by, bool obeyed) {
  const auto seen = epochs_.find(agent);
  if (seen == epochs_.end() || told_by >= seen->second) return;
  Case(3);
  if (obeyed) {
    Violation("3: agent " + std::to_string(agent) + " obeys term " +
              std::to_string(told_by.value()) + " though it knows of term " +
              std::to_string(seen->second.value()));
  }
}

void Oracles::EpochSynced(int agent, Epoch epoch) {
  epochs_[agent] = std::max(epochs_[agent], epoch);
}

void Oracles::Started(const AttemptKey& key) {
  Case(4);
  if (!world_.store.WasStarted(key)) {
    Violation("4: " + NameOf(key) + " is started but was never stored as running");
  }
}

void Oracles::ContainerMade(const AttemptKey& key, TaskKind kind) {
  Case(5);
  if (kind == TaskKind::kBuild && ++containers_[key] > 1) {
    Violation("5: build " + NameOf(key) + " is executed twice");
  }
}

void Oracles::LogSent(const AttemptKey& key, std::uint64_t offset, std::uint64_t end,
                      std::uint64_t begin, std::uint64_t synced) {
  if (offset == end) return;  // only asks where to resume
  Case(6);
  if (offset < begin || end > synced) {
    Violation("6: log bytes of " + NameOf(key) + " are sent that are freed or not synced");
  }
}

void Oracles::SpoolFreed(const AttemptKey& key, std::uint64_t below) {
  Case(6);
  const SimFile& stored = world_.controller_logs[key];
  if (below > stored.synced) {
    Violation("6: spool of " + NameOf(key) + " freed below " + std::to_string(below) +
              ", on the controller's disk are " + std::to_string(stored.synced));
  }
}

void Oracles::SpoolHolds(const AttemptKey& key, std::uint64_t bytes, std::uint64_t budget) {
  if (bytes > budget) {
    Violation("6: spool of " + NameOf(key) + " holds " + std::to_string(bytes) +
              " bytes, its budget is " + std::to_string(budget));
  }
}

void Oracles::Deleted(const AttemptKey& key, const AgentId& agent) {
  Case(7);
  // Only what the stored rows disown is thrown away.
  const domain::Task* row = world_.store.Find(key.task);
  if (!world_.store.IsCurrent(key) || row->agent != agent) return;
  if (row->state == TaskState::kUnknown && row->result) return;
  if (unwanted_.contains(agent)) return;
  Violation("7: " + NameOf(key) + " is deleted but still wanted");
}

void Oracles::NoSecret(std::string_view text, const char* where) {
  if (text.find(kSecret) != std::string_view::npos) {
    Violation(std::string("11: a secret in ") + where + ": " + std::string(text));
  }
}

void Oracles::NoSecret(const protocol::AttemptResult& result, const char* where) {
  if (!result.failure) return;
  NoSecret(result.failure->message, where);
  NoSecret(result.failure->tool_words, where);
}

void Oracles::Journalled(const agent::JournalEntry& entry) {
  Case(11);
  if (const auto* running = std::get_if<agent::JournalRunning>(&entry.what)) {
    NoSecret(running->spec, "the journal");
  } else if (const auto* marker = std::get_if<agent::JournalPublishStarted>(&entry.what)) {
    NoSecret(marker->nonce, "the journal");
    if (IsPreview(entry.key.task)) {
      Violation("9: preview " + NameOf(entry.key) + " gets a marker, so it is not made again");
    }
  } else if (const auto* finished = std::get_if<agent::JournalFinished>(&entry.what)) {
    NoSecret(finished->result, "the journal");
  }
}

void Oracles::Said(const protocol::AgentMessage& message) {
  Case(11);
  if (const auto* step = std::get_if<protocol::StepReport>(&message)) {
    NoSecret(step->detail, "a step");
  } else if (const auto* chunk = std::get_if<protocol::LogChunk>(&message)) {
    NoSecret(chunk->data, "a log");
  } else if (const auto* report = std::get_if<protocol::ResultReport>(&message)) {
    NoSecret(report->result, "a result");
  } else if (const auto* refuse = std::get_if<protocol::Refuse>(&message)) {
    NoSecret(refuse->reason, "a refusal");
  }
}

// ---- what a controller does

void Oracles::Committed(const Batch& batch) {
  if (world_.store.fence_broken()) {
    Violation("2: a change of a term that was over is stored");
  }
  for (std::size_t i = 0; i < batch.changes.size(); ++i) {
    // Also what the rows refused: it should not have been asked for.
    JudgePreview(batch.changes[i]);
    if (batch.statuses[i].ok()) Judge(batch, i);
  }
  CheckResults();
}

void Oracles::Judge(const Batch& batch, std::size_t index) {
  const store::Change& change = batch.changes[index];
  if (const auto* start = std::get_if<store::StartTask>(&change)) {
    Case(10);
    open_.insert(start->key);
    JudgeSpeaker(batch, start->key);
    const int starts = world_.store.Starts(start->key.task);
    if (world_.store.Find(start->key.task)->kind == TaskKind::kPublish) {
      if (starts > 1) Violation("9: publish " + NameOf(start->key) + " is started again");
    } else if (starts > SimSchedulerOptions().max_attempts) {
      Violation("10: " + NameOf(start->key) + " is started for the " + std::to_string(starts) +
                ". time");
    }
  } else if (const auto* offer = std::get_if<store::OfferTask>(&change)) {
    JudgeOffer(batch, *offer);
  } else if (const auto* order = std::get_if<store::SetAvailability>(&change)) {
    JudgeOrder(*order);
  } else if (const auto* requeue = std::get_if<store::RequeueTask>(&change)) {
    open_.erase(requeue->key);
    waits_stored_[requeue->key.task] = world_.now();
    if (world_.store.WasStarted(requeue->key)) JudgeEnd(batch, requeue->key, requeue->why);
  } else if (const auto* create = std::get_if<store::CreateRun>(&change)) {
    for (const domain::Task& task : create->tasks) waits_stored_[task.id] = world_.now();
  } else if (const auto* release = std::get_if<store::ReleaseTask>(&change)) {
    waits_stored_[release->task] = world_.now();
  } else if (const auto* finish = std::get_if<store::FinishTask>(&change)) {
    JudgeFinish(batch, *finish);
  } else if (const auto* unknown = std::get_if<store::MarkUnknown>(&change)) {
    open_.erase(unknown->key);
    JudgeEnd(batch, unknown->key, "");
  } else if (const auto* step = std::get_if<store::RecordStep>(&change)) {
    Case(1);
    JudgeSpeaker(batch, step->step.key);
    NoSecret(step->step.detail, "a row");
    if (step->step.detail != NameOf(step->step.key)) {
      Violation("1: step of " + step->step.detail + " stored for " + NameOf(step->step.key));
    }
  } else if (const auto* grant = std::get_if<store::GrantPermit>(&change)) {
    Case(12);
    const TaskId& task = grant->permit.key.task;
    JudgeSpeaker(batch, grant->permit.key);
    granted_.try_emplace(
        task, Granted{grant->permit.nonce, world_.now() + SimSchedulerOptions().permit_ttl});
    const bool canceled_behind =
        std::any_of(batch.changes.begin() + static_cast<std::ptrdiff_t>(index), batch.changes.end(),
                    [&](const store::Change& later) {
                      const auto* cancel = std::get_if<store::RequestCancel>(&later);
                      return cancel != nullptr && cancel->task == task;
                    });
    if (world_.store.Find(task)->cancel_requested && !canceled_behind) {
      Violation("12: " + task.value() + " gets its permit though it was canceled before");
    }
  }
}

// Of a concurrency group one at a time, in the order of the submits.
void Oracles::JudgeTurn(const TaskId& task) {
  const auto group = domain::GroupOf(*world_.store.Find(task));
  if (!group) return;
  Case(4);
  for (const TaskId& id : world_.store.submitted()) {
    if (id == task) return;
    const domain::Task& other = *world_.store.Find(id);
    if (!domain::IsTerminal(other.state) && domain::GroupOf(other) == group) {
      Violation("4: " + task.value() + " is offered before its turn in the group " + group->name +
                ": " + id.value() + " was submitted before");
    }
  }
}

void Oracles::JudgeOffer(const Batch& batch, const store::OfferTask& offer) {
  holders_[offer.key] = offer.agent;
  JudgeTurn(offer.key.task);
  const auto resting = resting_since_.find(offer.agent);
  if (resting != resting_since_.end() && resting->second < batch.decided_at) {
    Violation("3: " + NameOf(offer.key) + " is offered to " + offer.agent.value() +
              ", which is to take no work");
  }
}

void Oracles::JudgeOrder(const store::SetAvailability& order) {
  const domain::AgentMode mode = order.availability.mode;
  if (mode == domain::AgentMode::kActive) {
    resting_since_.erase(order.agent);
    return;
  }
  resting_since_.try_emplace(order.agent, world_.now());
  if (!domain::IsGone(mode)) return;
  gone_since_.try_emplace(order.agent, world_.now());
  if (mode != domain::AgentMode::kRetired) return;
  Case(3);
  for (const auto& [id, task] : world_.store.tasks()) {
    const bool held = task.state == TaskState::kOffered || task.state == TaskState::kRunning;
    if (held && task.agent == order.agent) {
      Violation("3: " + order.agent.value() + " is retired while it holds " + id.value());
    }
  }
}

// What an agent says that had left the farm when it was decided on changes nothing.
void Oracles::JudgeSpeaker(const Batch& batch, const AttemptKey& key) {
  const auto holder = holders_.find(key);
  if (holder == holders_.end()) return;
  const auto gone = gone_since_.find(holder->second);
  if (gone != gone_since_.end() && gone->second < batch.decided_at) {
    Violation("3: " + NameOf(key) + " goes on at " + holder->second.value() +
              ", which has left the farm");
  }
}

void Oracles::JudgeFinish(const Batch& batch, const store::FinishTask& finish) {
  const bool was_open = open_.erase(finish.key) > 0;
  if (finish.result) NoSecret(*finish.result, "a row");
  if (finish.resolution) {
    JudgeResolution(finish.key.task, *finish.resolution);
  } else if (finish.result && finish.result->failure &&
             finish.result->failure->reason == "QUEUE_TIMEOUT") {
    if (was_open) Violation("10: " + NameOf(finish.key) + " runs and ends as waited for too long");
    JudgeTimeout(batch, finish.key);
  } else if (was_open) {
    JudgeEnd(batch, finish.key, "");
  }
}

// The wait counts from when the task could run, or could run again, and does not end in the grace
// period when it began before.
void Oracles::JudgeTimeout(const Batch& batch, const AttemptKey& key) {
  Case(10);
  const domain::Task& task = *world_.store.Find(key.task);
  // By the wall clock over a restart of the controller.
  if (controller_clock_stepped_) return;
  const MonoTime since(task.queued_since.time_since_epoch() - world_.wall().time_since_epoch() +
                       world_.now().time_since_epoch());
  if (batch.decided_at - since < task.queue_timeout) {
    Violation("10: " + NameOf(key) + " has not waited for as long as it may");
  }
  if (waits_stored_.at(key.task) < batch.awake_since &&
      batch.decided_at - batch.awake_since < SimSchedulerOptions().grace) {
    Violation("8: the wait of " + NameOf(key) + " ends in the grace period");
  }
}

// An attempt that was running is over. Either its own result says so, or an inventory of its agent
// that lacks it, or the silence of its agent.
void Oracles::JudgeEnd(const Batch& batch, const AttemptKey& key, const std::string& queued_why) {
  const auto reports = [&](const scheduler::ResultReported& event) {
    if (event.key != key || event.log == scheduler::LogState::kIncomplete) return false;
    return queued_why.empty() ||
           (event.result.failure &&
            queued_why.starts_with(protocol::FailureClassName(event.result.failure->klass)));
  };
  if (Holds<scheduler::ResultReported>(batch.events, reports)) {
    Case(10);
    const auto truth = failures_.find(key);
    if (!queued_why.empty() && truth != failures_.end() && !MayRetry(truth->second)) {
      Violation("10: " + NameOf(key) + " is tried again after a failure of class " +
                std::string(protocol::FailureClassName(truth->second)));
    }
    return;
  }
  const bool said_by_agent =
      Holds<scheduler::InventoryReceived>(
          batch.events, [&](const auto& event) { return event.from.agent == holders_[key]; }) ||
      Holds<scheduler::Cancel>(batch.events,
                               [&](const auto& event) { return event.task == key.task; });
  if (said_by_agent || gone_since_.contains(holders_[key])) return;
  Case(8);
  if (batch.decided_at - batch.awake_since < SimSchedulerOptions().grace) {
    Violation("8: the lease of " + NameOf(key) + " ends in the grace period");
  }
}

void Oracles::CheckResults() {
  for (const auto& [key, agent] : world_.store.TakeStoredResults()) {
    const domain::Task& task = *world_.store.Find(key.task);
    if (!task.result) continue;
    Case(1);
    const protocol::AttemptResult& result = *task.result;
    if (result.build && result.build->commit != NameOf(key)) {
      Violation("1: result of " + result.build->commit + " stored for " + NameOf(key));
    }
    // Made by the scheduler for a lost agent: it knows nothing of the log's end.
    if (result.log.root.IsZero()) continue;
    if (task.state == TaskState::kUnknown || result.log.missing > 0) continue;
    const auto ended = ended_logs_.find(key);
    if (ended == ended_logs_.end()) continue;
    Case(6);
    const SimFile& file = world_.controller_logs[key];
    if (file.bytes.compare(0, file.synced, ended->second) != 0 ||
        result.log.size != ended->second.size()) {
      Violation("6: " + NameOf(key) + " is final with " + std::to_string(file.synced) + " of " +
                std::to_string(ended->second.size()) + " log bytes on disk");
    }
  }
}

void Oracles::Told(Epoch epoch, const scheduler::Outgoing& outgoing) {
  // Only the leader's truth is current; what an older one still says is the epoch's business.
  if (world_.store.epoch() != epoch) return;
  Case(2);
  const auto complain = [&](const AttemptKey& key, const char* what) {
    const domain::Task* row = world_.store.Find(key.task);
    Violation(std::string("2: told ") + what + " of " + NameOf(key) + ", but the row says " +
              (row == nullptr ? "nothing"
                              : std::string(domain::TaskStateName(row->state)) + "/" +
                                    std::to_string(row->attempt.value())));
  };
  const auto* permit = std::get_if<protocol::Permit>(&outgoing.body);
  const domain::Task* asked = permit == nullptr ? nullptr : world_.store.Find(permit->key.task);
  // A probe's changes nothing and has no row.
  if (asked != nullptr && asked->kind == TaskKind::kPublish) {
    const auto row = world_.store.permits().find(permit->key.task);
    if (row == world_.store.permits().end()) {
      complain(permit->key, "permit");
    } else if (row->second.nonce != permit->nonce) {
      Violation("9: " + permit->key.task.value() + " gets a second nonce");
    }
  }
  const auto* desired = std::get_if<protocol::Desired>(&outgoing.body);
  if (desired == nullptr) return;
  for (const protocol::DesiredAttempt& wanted : desired->attempts) {
    const domain::Task* row = world_.store.Find(wanted.key.task);
    const bool current = world_.store.IsCurrent(wanted.key);
    switch (wanted.want) {
      // A later event of the same batch may have gone further: the row is this or beyond.
      case Want::kOffer:
        if (row == nullptr || row->attempt < wanted.key.attempt) complain(wanted.key, "offer");
        break;
      case Want::kStart:
      case Want::kKeep:
        if (!world_.store.WasStarted(wanted.key)) complain(wanted.key, "start");
        break;
      case Want::kCancel:
        // A publish that is unknown and asks again for its permit is ended, too.
        if (row == nullptr || (!row->cancel_requested && !world_.store.permits().contains(row->id)))
          complain(wanted.key, "cancel");
        break;
      case Want::kForget:
        if (current && (row->state != TaskState::kUnknown || !row->result)) {
          complain(wanted.key, "forget");
        }
        break;
    }
  }
}

void Oracles::SubmitAnswered(const TaskId& first_task, const absl::Status& status) {
  Case(2);
  if (status.ok() && world_.store.Find(first_task) == nullptr) {
    Violation("2: the submit of " + first_task.value() + " was acknowledged but is not stored");
  }
}

void Oracles::CancelAnswered(const TaskId& task, const absl::Status& status) {
  Case(2);
  if (status.ok() && !world_.store.Find(task)->cancel_requested) {
    Violation("2: the cancel of " + task.value() + " was acknowledged but is not stored");
  }
}

void Oracles::ResolveAnswered(const TaskId& task, const absl::Status& status) {
  Case(2);
  if (status.ok() && !world_.store.resolutions().contains(task)) {
    Violation("2: the resolution of " + task.value() + " was acknowledged but is not stored");
  }
}

// ---- the end

void Oracles::CheckEnd(std::size_t answered) {
  Case(3);
  const auto submits = static_cast<std::size_t>(world_.scenario.submits);
  if (answered < submits) Violation("3: a submit was never answered");
  if (world_.store.runs() < submits || world_.store.runs() > submits + world_.probes_asked()) {
    Violation("2: one request made two runs");
  }
  const auto waits = [this](const domain::Task& task) {
    return !domain::IsTerminal(task.state) && task.state != TaskState::kUnknown &&
           !world_.Blocked(task);
  };
  for (const auto& [id, task] : world_.store.tasks()) {
    if (!waits(task)) continue;
    for (const auto& agent : world_.agents) {
      if (agent->Durable({id, task.attempt}) != JournalState::kFinished) continue;
      Violation("7: the result of " + id.value() + " never arrives");
    }
  }
  for (const auto& [id, task] : world_.store.tasks()) {
    const std::string name =
        id.value() + " (" + std::string(domain::TaskStateName(task.state)) + ")";
    if (waits(task)) Violation("3: " + name + " never ends");
    if (task.kind == TaskKind::kPreview) {
      Case(9);
      if (task.state == TaskState::kUnknown || world_.store.permits().contains(id) ||
          world_.store.releases().contains(id)) {
        Violation("9: " + name + " is a preview and has what only a publish may have");
      }
    }
    if (task.kind != TaskKind::kPublish) continue;
    // What the rows say of a publish is what happened.
    Case(9);
    const bool released = world_.store.releases().contains(id);
    const bool done = published(id);
    if (released != (task.state == TaskState::kSucceeded)) {
      Violation("9: " + name + " and its release disagree");
    }
    if (released && !done) Violation("9: " + name + " has a release but was not published");
    if (!released && done && task.state != TaskState::kUnknown &&
        !said_not_published_.contains(id)) {
      Violation("9: " + name + " was published after all");
    }
  }
  for (const auto& agent : world_.agents) {
    const std::string left = agent->Leftovers();
    if (!left.empty()) Violation("3: left at an agent:" + left);
  }
}

}  // namespace slipway::sim
