#include "controller/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/status/status.h"

namespace slipway::scheduler {
namespace {

// Events of one batch at most, so that a flood cannot make a transaction endless.
constexpr std::size_t kMaxBatch = 1000;
constexpr auto kLongestSleep = std::chrono::seconds(5);

absl::Status Stopping() {
  return MakeError(absl::StatusCode::kUnavailable, "STOPPING", "the controller is stopping",
                   "Ask again in a moment.");
}

absl::Status Reloading() {
  return MakeError(absl::StatusCode::kUnavailable, "RELOADING",
                   "the controller is reading its database again", "Try again in a moment.");
}

}  // namespace

Scheduler::Scheduler(Options options, store::SchedulerStore& store, WorkOrders& orders,
                     const Clock& clock)
    : options_(std::move(options)),
      store_(store),
      orders_(orders),
      clock_(clock),
      core_(options_.core),
      announcer_(orders, [this](const Reply& reply) { Answer(reply); }),
      last_turn_(clock.Mono().time_since_epoch().count()),
      reload_pause_(options_.reload_pause, std::hash<std::string>()(NewUuid())) {}

Scheduler::~Scheduler() { Stop(); }

absl::Status Scheduler::Start(SessionSink& sink) {
  SLIPWAY_ASSIGN_OR_RETURN(auto unfinished, store_.LoadUnfinished());
  core_.Load(std::move(unfinished), clock_.Mono(), clock_.Wall());
  announcer_.Start(sink);
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mu_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  announcer_.Stop();
  AnswerAll();
}

void Scheduler::AnswerAll() {
  std::map<Ticket, OnReply> abandoned;
  {
    const std::lock_guard lock(mu_);
    abandoned.swap(waiting_);
  }
  for (const auto& [ticket, reply] : abandoned) reply(Reply{ticket, Stopping(), RunId()});
}

void Scheduler::Submit(domain::Run run, std::vector<domain::Task> tasks, OnReply reply,
                       Basis basis) {
  absl::Status refusal;
  {
    const std::lock_guard lock(mu_);
    if (stop_) {
      refusal = Stopping();
    } else if (submits_.size() >= options_.max_waiting_submits) {
      refusal = MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                          "too many submits are waiting", "Try again in a few seconds.");
    } else {
      const Ticket ticket(++last_ticket_);
      waiting_.emplace(ticket, std::exchange(reply, nullptr));
      submits_.push_back(
          scheduler::Submit{ticket, std::move(run), std::move(tasks), std::move(basis)});
    }
  }
  if (!refusal.ok()) {
    reply(Reply{Ticket(), refusal, RunId()});
    return;
  }
  wake_.notify_all();
}

void Scheduler::Cancel(TaskId task, std::string actor, std::string why, OnReply reply,
                       Basis basis) {
  Ask(scheduler::Cancel{Ticket(), std::move(task), std::move(actor), std::move(why),
                        std::move(basis)},
      std::move(reply));
}

void Scheduler::ChangeAgent(AgentId agent, domain::Availability availability, OnReply reply,
                            Basis basis) {
  Ask(scheduler::ChangeAgent{Ticket(), std::move(agent), std::move(availability), std::move(basis)},
      std::move(reply));
}

void Scheduler::Resolve(scheduler::Resolve event, OnReply reply) {
  event.said_at = clock_.Wall();
  event.said_at_mono = clock_.Mono();
  Ask(std::move(event), std::move(reply));
}

template <typename Request>
void Scheduler::Ask(Request event, OnReply reply) {
  bool stopped = false;
  {
    const std::lock_guard lock(mu_);
    stopped = stop_;
    if (!stopped) {
      event.ticket = Ticket(++last_ticket_);
      waiting_.emplace(event.ticket, std::exchange(reply, nullptr));
      urgent_.push_back(std::move(event));
    }
  }
  if (stopped) {
    reply(Reply{Ticket(), Stopping(), RunId()});
    return;
  }
  wake_.notify_all();
}

bool Scheduler::Post(Event event) {
  {
    const std::lock_guard lock(mu_);
    if (stop_) return true;
    if (urgent_.size() >= options_.max_waiting_messages &&
        !std::holds_alternative<SessionClosed>(event)) {
      return false;
    }
    urgent_.push_back(std::move(event));
  }
  wake_.notify_all();
  return true;
}

absl::Status Scheduler::CheckCurrent(const AgentId& agent, const AttemptKey& key) const {
  const std::lock_guard lock(core_mu_);
  // An agent that hears "stale" lets go of its attempt, so it must not hear that from an empty
  // core.
  if (!core_.loaded()) return Reloading();
  if (core_.IsCurrent(agent, key)) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT",
                   "attempt " + std::to_string(key.attempt.value()) + " of " + key.task.value() +
                       " is not this agent's current one");
}

std::vector<AgentView> Scheduler::Agents() const {
  const std::lock_guard lock(core_mu_);
  return core_.Agents();
}

Scheduler::Load Scheduler::CurrentLoad() const {
  const std::lock_guard lock(core_mu_);
  Load load{.unfinished = core_.unfinished(), .queued = core_.queued()};
  for (const AgentView& agent : core_.Agents()) {
    load.held += agent.attempts.size();
    if (agent.agent.value() == domain::kControllerAgent) continue;
    load.agents += agent.online ? 1 : 0;
    load.slots += agent.online ? agent.slots : 0;
  }
  return load;
}

std::vector<Labels> Scheduler::Takers() const {
  const std::lock_guard lock(core_mu_);
  return core_.Takers();
}

absl::StatusOr<std::optional<Explanation>> Scheduler::Explain(const TaskId& task) const {
  const std::lock_guard lock(core_mu_);
  if (!core_.loaded()) return Reloading();
  return core_.Explain(task, clock_.Mono(), clock_.Wall());
}

std::vector<absl::Status> Scheduler::CheckQuiet(const std::vector<TaskId>& tasks) const {
  std::vector<absl::Status> quiet;
  const std::lock_guard lock(core_mu_);
  for (const TaskId& task : tasks) {
    quiet.push_back(core_.loaded() ? core_.CheckQuiet(task, clock_.Mono(), clock_.Wall())
                                   : Reloading());
  }
  return quiet;
}

MonoTime Scheduler::last_turn() const { return MonoTime(Duration(last_turn_.load())); }

void Scheduler::NoteTurn() { last_turn_ = clock_.Mono().time_since_epoch().count(); }

void Scheduler::Loop() {
  orders_.Loaded();
  while (true) {
    NoteTurn();
    std::optional<MonoTime> deadline;
    bool has_work = false;
    {
      const std::lock_guard lock(core_mu_);
      deadline = core_.NextDeadline();
      has_work = core_.HasWork();
    }
    Duration sleep = has_work ? Duration::zero() : kLongestSleep;
    if (deadline) sleep = std::clamp<Duration>(*deadline - clock_.Mono(), Duration(0), sleep);

    std::vector<Event> events = std::exchange(steps_, {});
    if (!events.empty()) sleep = std::min<Duration>(sleep, steps_due_ - clock_.Mono());
    {
      std::unique_lock lock(mu_);
      wake_.wait_for(lock, sleep,
                     [this] { return stop_ || !urgent_.empty() || !submits_.empty(); });
      if (stop_) return;
      for (auto* queue : {&urgent_, &submits_}) {
        const std::size_t take = std::min(queue->size(), kMaxBatch - events.size());
        const auto end = queue->begin() + static_cast<std::ptrdiff_t>(take);
        events.insert(events.end(), std::make_move_iterator(queue->begin()),
                      std::make_move_iterator(end));
        queue->erase(queue->begin(), end);
      }
    }
    // How far a build is may be told a moment later, together with what somebody waits for.
    const bool steps_alone = std::all_of(events.begin(), events.end(), [](const Event& event) {
      return std::holds_alternative<StepReported>(event);
    });
    const MonoTime now = clock_.Mono();
    const bool pressing = has_work || (deadline && *deadline <= now);
    if (steps_alone && !events.empty() && !pressing) {
      if (steps_due_ == MonoTime()) steps_due_ = now + options_.steps_patience;
      if (now < steps_due_ && events.size() < kMaxBatch) {
        steps_ = std::move(events);
        continue;
      }
    }
    steps_due_ = MonoTime();
    RunBatch(std::move(events));
  }
}

bool Scheduler::Prepare(Event& event) {
  if (const auto* submit = std::get_if<scheduler::Submit>(&event)) orders_.Submitted(*submit);
  // What is said of an attempt that is not the agent's own touches no file and no row; the core
  // answers it.
  if (auto* result = std::get_if<ResultReported>(&event)) {
    if (!CheckCurrent(result->from.agent, result->key).ok()) return true;
    return orders_.Complete(*result).ok();
  }
  // What could not be completed is answered by the core.
  if (auto* resolve = std::get_if<scheduler::Resolve>(&event)) {
    orders_.Complete(*resolve).IgnoreError();
  }
  if (auto* request = std::get_if<PermitRequested>(&event)) {
    if (!CheckCurrent(request->from.agent, request->key).ok()) return true;
    auto denied = orders_.Complete(*request);
    if (!denied.ok()) return false;
    if (*denied) {
      Effects effects;
      effects.sends.push_back({request->from.agent, request->from.session,
                               protocol::PermitDenied{request->key, **denied}});
      announcer_.Tell(std::move(effects));
      return false;
    }
  }
  return true;
}

// The core moves on with these before they are committed, so that a right which is found to have
// ended only there costs all of it a reading anew. One that ended while the event waited is found
// here, and costs that event alone.
void Scheduler::RefuseUnentitled(std::vector<Event>& events) {
  std::vector<store::Change> wishes;
  std::vector<std::pair<std::size_t, Ticket>> asked;  // event
  const auto ask = [&](std::size_t i, const auto& event, store::Change wish) {
    if (event.basis.authorities.empty()) return;
    asked.emplace_back(i, event.ticket);
    wishes.push_back(std::move(wish));
  };
  const WallTime now = clock_.Wall();
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (const auto* cancel = std::get_if<scheduler::Cancel>(&events[i])) {
      ask(i, *cancel,
          store::RequestCancel{{cancel->actor, now, cancel->basis.from, cancel->basis.authorities},
                               cancel->task,
                               cancel->why});
    } else if (const auto* resolve = std::get_if<scheduler::Resolve>(&events[i])) {
      store::FinishTask finish;
      finish.cause = {resolve->resolution.resolved_by, now, resolve->basis.from,
                      resolve->basis.authorities};
      finish.key.task = resolve->task;
      finish.resolution = resolve->resolution;
      ask(i, *resolve, std::move(finish));
    }
  }
  if (wishes.empty()) return;
  const auto rights = store_.CheckRights(wishes);
  // The commit asks again, and says what is wrong with the database.
  if (!rights.ok()) return;
  std::set<std::size_t> refused;
  Effects effects;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if ((*rights)[i].ok()) continue;
    refused.insert(asked[i].first);
    effects.replies.push_back({asked[i].second, (*rights)[i], RunId()});
  }
  if (refused.empty()) return;
  announcer_.Tell(std::move(effects));
  std::size_t place = 0;
  std::erase_if(events, [&](const Event&) { return refused.contains(place++); });
}

void Scheduler::RunBatch(std::vector<Event> events) {
  std::erase_if(events, [this](Event& event) { return !Prepare(event); });
  RefuseUnentitled(events);
  {
    const std::lock_guard lock(core_mu_);
    const MonoTime now = clock_.Mono();
    const WallTime wall = clock_.Wall();
    for (const Event& event : events) core_.Apply(event, now, wall);
    core_.Apply(Tick{}, now, wall);
  }
  Commit();
}

// Once: what follows from a commit, the offers of new tasks for one, shares the next with the
// events that came meanwhile.
void Scheduler::Commit() {
  NoteTurn();
  std::vector<store::Change> changes;
  {
    const std::lock_guard lock(core_mu_);
    if (!core_.HasWork()) return;
    changes = core_.TakeChanges();
  }
  absl::StatusOr<std::vector<absl::Status>> statuses = std::vector<absl::Status>();
  if (!changes.empty()) statuses = store_.Commit(changes);
  if (LostLeadership(statuses.status())) return;
  Effects effects;
  {
    const std::lock_guard lock(core_mu_);
    if (statuses.ok()) {
      effects = core_.OnCommitted(*statuses, clock_.Mono(), clock_.Wall());
    } else if (store::InDoubt(statuses.status())) {
      effects = core_.OnInDoubt();
    } else {
      effects = core_.OnNotStored(statuses.status());
    }
  }
  const bool reload = effects.reload;
  announcer_.Tell(std::move(effects));
  if (!reload && !changes.empty()) reload_pause_.Reset();
  if (reload) Reload();
}

void Scheduler::Reload() {
  announcer_.Drain([this] { NoteTurn(); });
  while (true) {
    {
      const Duration pause = reload_pause_.Next();
      std::unique_lock lock(mu_);
      if (wake_.wait_for(lock, pause, [this] { return stop_; })) return;
    }
    NoteTurn();
    auto unfinished = store_.LoadUnfinished();
    if (unfinished.ok()) {
      {
        const std::lock_guard lock(core_mu_);
        core_.Load(std::move(*unfinished), clock_.Mono(), clock_.Wall());
      }
      orders_.Loaded();
      return;
    }
    if (LostLeadership(unfinished.status())) return;
  }
}

bool Scheduler::LostLeadership(const absl::Status& status) {
  if (GetErrorInfo(status).reason != "NOT_LEADER") return false;
  {
    const std::lock_guard lock(mu_);
    stop_ = true;
  }
  announcer_.Hush();
  announcer_.Drain([this] { NoteTurn(); });
  AnswerAll();
  if (options_.on_lost_leadership) options_.on_lost_leadership(status);
  return true;
}

void Scheduler::Answer(const Reply& reply) {
  OnReply callback;
  {
    const std::lock_guard lock(mu_);
    const auto it = waiting_.find(reply.ticket);
    if (it == waiting_.end()) return;
    callback = std::move(it->second);
    waiting_.erase(it);
  }
  callback(reply);
}

}  // namespace slipway::scheduler
