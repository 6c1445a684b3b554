#include "tests/sim/sim_world.h"

#include <algorithm>

#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"

namespace slipway::sim {

using domain::TaskKind;
using domain::TaskState;

World::World(const Scenario& plan)
    : scenario(plan), random_(plan.seed), cut_until_(static_cast<std::size_t>(plan.agents)) {
  now_ = MonoTime(std::chrono::hours(1));
}

World::~World() = default;

std::uint64_t World::Random(std::uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }

Millis World::RandomMillis(int low, int high) {
  return Millis(low + static_cast<int>(Random(static_cast<std::uint64_t>(high - low + 1))));
}

bool World::Chance(double probability) {
  return probability > 0 && static_cast<double>(Random(1'000'000)) < probability * 1e6;
}

void World::After(Duration delay, std::function<void()> what) {
  timers_.emplace(std::pair(now_ + std::max<Duration>(delay, Duration::zero()), ++last_timer_),
                  std::move(what));
}

void World::RunUntil(MonoTime end, const std::function<bool()>& done) {
  while (!timers_.empty() && !failed() && timers_.begin()->first.first <= end) {
    auto next = timers_.extract(timers_.begin());
    now_ = next.key().first;
    next.mapped()();
    if (done && done()) return;
  }
  if (!done && !failed()) now_ = end;
}

// ---- checks and trace

void World::Violation(const std::string& what) {
  if (!failed()) violation_ = what;
}

void World::Trace(const std::string& line) {
  const auto at = std::chrono::duration_cast<Millis>(now_.time_since_epoch()).count() - 3'600'000;
  trace_.push_back(std::to_string(at) + " ms  " + line);
  if (trace_.size() > 60) trace_.pop_front();
}

std::string World::TraceTail() const {
  std::string text;
  for (const std::string& line : trace_) text += line + "\n";
  return text;
}

// ---- network

std::shared_ptr<Stream> World::Connect(int agent, std::uint64_t agent_life) {
  if (cut_until_[static_cast<std::size_t>(agent)] > now_ && faulty_) return nullptr;
  SimController* controller = controllers.back().get();
  if (Chance(0.3)) controller = controllers[Random(controllers.size())].get();
  if (!controller->alive()) return nullptr;
  auto stream = std::make_shared<Stream>();
  stream->id = ++last_stream_;
  stream->agent = agent;
  stream->agent_life = agent_life;
  stream->controller = controller;
  streams_.push_back(stream);
  std::erase_if(streams_, [](const auto& known) { return !known->open; });
  controller->Opened(stream);
  return stream;
}

void World::Deliver(const std::shared_ptr<Stream>& stream, MonoTime& last,
                    std::function<void()> deliver) {
  MonoTime at = now_ + RandomMillis(1, Chance(0.05) ? 1500 : 40);
  if (!scenario.faults.reorder) at = last = std::max(at, last);
  After(at - now_, [this, stream, deliver = std::move(deliver)] {
    if (stream->open && !failed()) deliver();
  });
}

void World::ToController(const std::shared_ptr<Stream>& stream, int lane,
                         std::function<void()> deliver) {
  if (!stream->open || Mishap(scenario.faults.drop)) return;
  if (Mishap(scenario.faults.repeat)) Deliver(stream, stream->last_to_controller[lane], deliver);
  Deliver(stream, stream->last_to_controller[lane], std::move(deliver));
}

void World::ToAgent(const std::shared_ptr<Stream>& stream, int lane,
                    std::function<void()> deliver) {
  if (!stream->open || Mishap(scenario.faults.drop)) return;
  if (Mishap(scenario.faults.repeat)) Deliver(stream, stream->last_to_agent[lane], deliver);
  Deliver(stream, stream->last_to_agent[lane], std::move(deliver));
}

void World::Reset(const std::shared_ptr<Stream>& stream) {
  if (!stream->open) return;
  stream->open = false;
  After(RandomMillis(0, 3000), [stream] { stream->controller->Closed(stream); });
  After(RandomMillis(0, 3000),
        [this, stream] { agents[static_cast<std::size_t>(stream->agent)]->Closed(stream); });
}

// ---- platform

void World::ClientStarted(const AttemptKey& key, const std::string& nonce, bool marker_synced) {
  Trace("client of " + key.task.value() + " starts with " + nonce);
  if (!marker_synced)
    Violation("9: client of " + key.task.value() + " starts without marker on disk");
  if (++clients_[key.task] > 1) Violation("9: " + key.task.value() + " is published a second time");
  const auto permit = store.permits().find(key.task);
  if (permit == store.permits().end() || permit->second.key != key) {
    Violation("9: client of " + key.task.value() + " starts without a stored permit");
  }
  for (const auto& [id, held] : store.permits()) {
    const domain::Task& other = *store.Find(id);
    if (id != key.task && !domain::IsTerminal(other.state) &&
        domain::GroupOf(other) == domain::GroupOf(*store.Find(key.task))) {
      Violation("9: client of " + key.task.value() + " starts while " + id.value() +
                " publishes to the same target");
    }
  }
}

void World::Published(const AttemptKey& key) { ++published_[key.task]; }

// ---- plot

void World::StartController() { controllers.push_back(std::make_unique<SimController>(*this)); }

void World::Repeat(Millis mean, std::function<void()> what) {
  if (mean == Millis::zero()) return;
  After(RandomMillis(1, static_cast<int>(2 * mean.count())), [this, mean, what] {
    if (!faulty_) return;
    what();
    Repeat(mean, what);
  });
}

void World::PlanFaults() {
  const Faults& faults = scenario.faults;
  const auto any_agent = [this]() -> SimAgent& { return *agents[Random(agents.size())]; };
  Repeat(faults.controller_crash, [this] {
    if (!controllers.back()->alive()) return;
    controllers.back()->Crash(Chance(0.5));
    After(RandomMillis(200, 15'000), [this] {
      if (!controllers.back()->alive()) StartController();
    });
  });
  Repeat(faults.controller_takeover, [this] { StartController(); });
  Repeat(faults.agent_crash, [any_agent] { any_agent().CrashProcess(); });
  Repeat(faults.machine_crash, [any_agent] { any_agent().CrashMachine(); });
  Repeat(faults.connection_reset, [this] {
    if (!streams_.empty()) Reset(streams_[Random(streams_.size())]);
  });
  Repeat(faults.partition, [this] {
    const auto agent = Random(agents.size());
    cut_until_[agent] = now_ + RandomMillis(1000, 60'000);
    Trace("agent " + std::to_string(agent) + " is cut off");
    for (const auto& stream : streams_) {
      if (stream->agent == static_cast<int>(agent)) Reset(stream);
    }
  });
}

void World::Submit(int number, int tries) {
  SimController& controller = *controllers.back();
  // The caller asks again, with the same request id, when it hears nothing.
  const auto again = [this, number, tries] {
    After(RandomMillis(500, 3000), [this, number, tries] { Submit(number, tries + 1); });
  };
  if (!controller.alive()) return again();
  std::mt19937_64 plan(scenario.seed * 1000 + static_cast<std::uint64_t>(number));
  const std::string name = std::to_string(number) + "." + std::to_string(tries);
  scheduler::Submit submit;
  submit.ticket = controller.NewTicket();
  submit.run.id = RunId("run-" + name);
  submit.run.submitted_by = "dev";
  submit.run.request_id = "request-" + std::to_string(number);
  domain::Task build;
  build.id = TaskId("build-" + name);
  build.run = submit.run.id;
  build.application = ApplicationId("app-" + std::to_string(plan() % 4));
  build.requirements = {{"os", "linux"}};
  if (plan() % 5 == 0) build.requirements["xcode"] = "15";
  build.priority = static_cast<std::int32_t>(plan() % 2);
  if (plan() % 4 == 0) build.group = "nightly";
  domain::Task publish = build;
  submit.tasks.push_back(build);
  if (plan() % 3 > 0) {
    publish.id = TaskId("publish-" + name);
    publish.kind = TaskKind::kPublish;
    publish.state = TaskState::kWaiting;
    publish.depends_on = build.id;
    publish.target = plan() % 2 > 0 ? "live" : "trial";
    submit.tasks.push_back(publish);
  }
  const RunId run = submit.run.id;
  const auto heard = std::make_shared<bool>(false);
  const auto ticket = submit.ticket;
  controller.Call(std::move(submit), ticket, [=, this](const scheduler::Reply& reply) {
    *heard = true;
    if (absl::IsUnavailable(reply.status)) return again();
    answered_.insert(number);
    // 2: an acknowledged submit is stored.
    if (reply.status.ok() && store.Find(TaskId("build-" + name)) == nullptr) {
      Violation("2: run " + run.value() + " was acknowledged but is not stored");
    }
  });
  After(std::chrono::seconds(30), [heard, again] {
    if (!*heard) again();
  });
}

void World::PlanWork() {
  for (int i = 0; i < scenario.submits; ++i) {
    After(RandomMillis(0, static_cast<int>(scenario.workload.count())),
          [this, i] { Submit(i, 0); });
  }
  for (int i = 0; i < scenario.cancels; ++i) {
    After(RandomMillis(0, static_cast<int>(scenario.workload.count())), [this] {
      SimController& controller = *controllers.back();
      if (store.tasks().empty() || !controller.alive()) return;
      auto victim = store.tasks().begin();
      std::advance(victim, Random(store.tasks().size()));
      Trace("cancel " + victim->first.value());
      const auto ticket = controller.NewTicket();
      controller.Call(scheduler::Cancel{ticket, victim->first, "dev", "test"}, ticket,
                      [this, id = victim->first](const scheduler::Reply& reply) {
                        if (reply.status.ok() && !store.Find(id)->cancel_requested) {
                          Violation("2: cancel of " + id.value() + " was acknowledged, not stored");
                        }
                      });
    });
  }
}

std::string World::Play() {
  for (int i = 0; i < scenario.agents; ++i) {
    agents.push_back(std::make_unique<SimAgent>(*this, i));
  }
  StartController();
  for (auto& agent : agents) agent->Boot();
  PlanFaults();
  PlanWork();
  RunUntil(now_ + scenario.workload, {});
  if (failed()) return violation_;
  faulty_ = false;
  Trace("faults stop");
  // Everybody who should live does.
  if (!controllers.back()->alive()) StartController();
  for (auto& controller : controllers) {
    if (controller != controllers.back() && controller->alive()) controller->Crash(false);
  }
  for (auto& agent : agents) agent->Boot();
  RunUntil(now_ + std::chrono::minutes(15), [this] { return Settled(); });
  if (!failed()) CheckEnd();
  return violation_;
}

bool World::Blocked(const domain::Task& task) const {
  return domain::GroupOf(task) &&
         std::any_of(store.tasks().begin(), store.tasks().end(), [&](const auto& other) {
           return other.second.state == TaskState::kUnknown &&
                  domain::GroupOf(other.second) == domain::GroupOf(task);
         });
}

bool World::Settled() const {
  if (answered_.size() < static_cast<std::size_t>(scenario.submits)) return false;
  for (const auto& [id, task] : store.tasks()) {
    if (domain::IsTerminal(task.state) || task.state == TaskState::kUnknown) continue;
    if (!Blocked(task)) return false;
  }
  return std::all_of(agents.begin(), agents.end(),
                     [](const auto& agent) { return agent->Leftovers().empty(); });
}

void World::CheckEnd() {
  // 3: every task ends, every submit is answered, nothing is left anywhere.
  for (const auto& agent : agents) Trace("left at an agent:" + agent->Leftovers());
  if (answered_.size() < static_cast<std::size_t>(scenario.submits)) {
    Violation("3: a submit was never answered");
  }
  if (store.runs() != static_cast<std::size_t>(scenario.submits)) {
    Violation("2: one request made two runs");
  }
  for (const auto& [id, task] : store.tasks()) {
    const std::string name =
        id.value() + " (" + std::string(domain::TaskStateName(task.state)) + ")";
    if (!domain::IsTerminal(task.state) && task.state != TaskState::kUnknown && !Blocked(task)) {
      Violation("3: " + name + " never ends");
    }
    // 9: what the rows say of a publish is what happened.
    const bool released = store.releases().contains(id);
    const bool published = published_.contains(id);
    if (released != (task.kind == TaskKind::kPublish && task.state == TaskState::kSucceeded)) {
      Violation("9: " + name + " and its release disagree");
    }
    if (released && !published) Violation("9: " + name + " has a release but was not published");
    if (!released && published && task.state != TaskState::kUnknown) {
      Violation("9: " + name + " was published after all");
    }
  }
  for (const auto& agent : agents) {
    const std::string left = agent->Leftovers();
    if (!left.empty()) Violation("3: left at an agent:" + left);
  }
}

}  // namespace slipway::sim
