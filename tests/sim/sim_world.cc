#include "tests/sim/sim_world.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "tests/sim/describe.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"

namespace slipway::sim {

using domain::TaskState;
using std::chrono::seconds;

namespace {

// How long after the last fault everything must have come to its end.
constexpr auto kPatience = std::chrono::minutes(5);
constexpr auto kSettledCheck = Millis(500);

Message MessageOf(protocol::Want want) {
  switch (want) {
    case protocol::Want::kOffer: return Message::kOffer;
    case protocol::Want::kStart: return Message::kStart;
    case protocol::Want::kKeep: return Message::kKeep;
    case protocol::Want::kCancel: return Message::kCancel;
    case protocol::Want::kForget: return Message::kForget;
  }
  return Message::kKeep;
}

}  // namespace

World::World(const Scenario& plan, PlayOptions options)
    : scenario(plan),
      store(scenario.planted),
      oracles(*this),
      options_(options),
      random_(plan.seed),
      cut_until_(static_cast<std::size_t>(plan.agents)),
      disk_full_until_(static_cast<std::size_t>(plan.agents)) {
  now_ = MonoTime(std::chrono::hours(1));
}

World::~World() = default;

Millis World::RandomMillis(int low, int high) {
  return Millis(low + static_cast<int>(Random(static_cast<std::uint64_t>(high - low + 1))));
}

void World::After(Duration delay, Job what) {
  events_.Add(now_ + std::max<Duration>(delay, Duration::zero()), std::move(what));
}

void World::RunUntil(MonoTime end, const std::function<bool()>& done) {
  MonoTime check = now_;
  while (!events_.empty() && !failed() && events_.next() <= end) {
    if (options_.max_steps > 0 && steps_ >= options_.max_steps) return;
    ++steps_;
    now_ = events_.next();
    events_.Pop()();
    if (!done || now_ < check) continue;
    if (done()) return;
    check = now_ + kSettledCheck;
  }
  if (!done && !failed()) now_ = end;
}

bool World::agent_disk_full(int agent) const {
  return faulty_ && now_ < disk_full_until_[static_cast<std::size_t>(agent)];
}

// ---- what is seen

void World::WriteTrace(const std::string& line) {
  const auto at = std::chrono::duration_cast<Millis>(now_.time_since_epoch()).count() - 3'600'000;
  trace_.push_back(std::to_string(steps_) + "  " + std::to_string(at) + " ms  " + line);
}

void World::Hit(Message message, CrashPoint point, const AttemptKey& key, int agent) {
  RowState state = RowState::kNone;
  if (const domain::Task* row = store.Find(key.task)) {
    if (row->attempt > key.attempt && key.attempt > Attempt()) {
      state = RowState::kSuperseded;
    } else if (domain::IsTerminal(row->state)) {
      state = RowState::kEnded;
    } else if (row->state == TaskState::kOffered) {
      state = RowState::kOffered;
    } else if (row->state == TaskState::kRunning) {
      state = RowState::kRunning;
    } else if (row->state == TaskState::kUnknown) {
      state = RowState::kUnknown;
    } else {
      state = RowState::kQueued;
    }
  }
  JournalState journal = JournalState::kNone;
  for (const auto& candidate : agents) {
    if (agent >= 0 && candidate != agents[static_cast<std::size_t>(agent)]) continue;
    journal = std::max(journal, candidate->Durable(key));
  }
  crash_points.Add(message, point, state, journal);
  Trace("  ", Name(message), " of ", NameOf(key), ": ", Name(point));
}

void World::HitLost(const protocol::AgentMessage& message, int agent, CrashPoint point) {
  const auto hit = [&](Message kind, const AttemptKey& key, CrashPoint where) {
    Hit(kind, where, key, agent);
  };
  // What has a record of its own was recorded before it could be sent.
  if (const auto* accept = std::get_if<protocol::Accept>(&message)) {
    hit(Message::kAccept, accept->key, CrashPoint::kLost);
  } else if (const auto* report = std::get_if<protocol::ResultReport>(&message)) {
    hit(Message::kResultReport, report->key, CrashPoint::kLost);
  } else if (const auto* chunk = std::get_if<protocol::LogChunk>(&message)) {
    hit(Message::kLogChunk, chunk->key, CrashPoint::kLost);
  } else if (const auto* refuse = std::get_if<protocol::Refuse>(&message)) {
    hit(Message::kRefuse, refuse->key, point);
  } else if (const auto* step = std::get_if<protocol::StepReport>(&message)) {
    hit(Message::kStepReport, step->key, point);
  } else if (const auto* permit = std::get_if<protocol::PermitRequest>(&message)) {
    hit(Message::kPermitRequest, permit->key, point);
  } else if (std::holds_alternative<protocol::Inventory>(message)) {
    hit(Message::kInventory, {}, point);
  }
}

void World::HitLost(const protocol::ControllerMessage& message, int agent, CrashPoint point) {
  if (const auto* desired = std::get_if<protocol::Desired>(&message.body)) {
    for (const protocol::DesiredAttempt& wanted : desired->attempts) {
      const Message kind = MessageOf(wanted.want);
      Hit(kind, kind == Message::kKeep ? point : CrashPoint::kLost, wanted.key, agent);
    }
  } else if (const auto* ack = std::get_if<protocol::LogAck>(&message.body)) {
    Hit(Message::kLogAck, CrashPoint::kLost, ack->key, agent);
  } else if (const auto* permit = std::get_if<protocol::Permit>(&message.body)) {
    Hit(Message::kPermit, CrashPoint::kLost, permit->key, agent);
  } else if (const auto* denied = std::get_if<protocol::PermitDenied>(&message.body)) {
    Hit(Message::kPermitDenied, point, denied->key, agent);
  }
}

// ---- network

std::shared_ptr<Stream> World::Connect(int agent) {
  if (cut_until_[static_cast<std::size_t>(agent)] > now_ && faulty_) return nullptr;
  SimController* controller = &Leader();
  if (Chance(0.3)) {
    // One that does not know yet that its term is over answers as well.
    std::vector<SimController*> serving;
    for (const auto& candidate : controllers) {
      if (candidate->serving()) serving.push_back(candidate.get());
    }
    if (!serving.empty()) controller = serving[Random(serving.size())];
  }
  if (!controller->serving()) return nullptr;
  // One that is not known to have left is looked at again when its stream begins.
  auto stream = std::make_shared<Stream>();
  stream->id = ++last_stream_;
  stream->agent = agent;
  stream->controller = controller;
  stream->unread_is_lost = Chance(0.5);
  std::erase_if(streams_, [](const auto& known) { return !known->open; });
  streams_.push_back(stream);
  controller->Opened(stream);
  // Nobody answers: given up as any silent connection.
  if (controller->frozen()) {
    After(RandomMillis(14'000, 17'000), [this, stream] {
      if (stream->controller->frozen()) Reset(stream);
    });
  }
  return stream;
}

Duration World::Travel(MonoTime& last) {
  MonoTime at = now_ + RandomMillis(1, Chance(0.05) ? 1500 : 40);
  if (!scenario.faults.reorder) at = last = std::max(at, last);
  return at - now_;
}

void World::ToController(const std::shared_ptr<Stream>& stream, protocol::AgentMessage message) {
  if (tracing()) Trace("agent ", stream->agent, " sends ", Describe(message));
  if (!stream->open || Mishap(scenario.faults.drop)) {
    return HitLost(message, stream->agent, CrashPoint::kLost);
  }
  MonoTime& last = stream->last_to_controller[std::holds_alternative<protocol::LogChunk>(message)];
  const bool twice = Mishap(scenario.faults.repeat);
  const auto deliver = [this, &stream](Duration travel, protocol::AgentMessage what) {
    After(travel, [this, stream, what = std::move(what)]() mutable {
      if (!stream->open) return HitLost(what, stream->agent, CrashPoint::kLost);
      if (!failed()) stream->controller->Receive(stream, std::move(what));
    });
  };
  if (twice) deliver(Travel(last), message);
  deliver(Travel(last), std::move(message));
}

void World::ToAgent(const std::shared_ptr<Stream>& stream, protocol::ControllerMessage message) {
  if (tracing()) Trace("agent ", stream->agent, " is sent ", Describe(message));
  if (!stream->open || Mishap(scenario.faults.drop)) {
    return HitLost(message, stream->agent, CrashPoint::kLost);
  }
  MonoTime& last = stream->last_to_agent[std::holds_alternative<protocol::LogAck>(message.body)];
  const bool twice = Mishap(scenario.faults.repeat);
  const auto deliver = [this, &stream](Duration travel, protocol::ControllerMessage what) {
    After(travel, [this, stream, what = std::move(what)] {
      SimAgent& agent = *agents[static_cast<std::size_t>(stream->agent)];
      if (!stream->open || !agent.alive()) return HitLost(what, stream->agent, CrashPoint::kLost);
      if (!failed()) agent.Receive(stream, what);
    });
  };
  if (twice) deliver(Travel(last), message);
  deliver(Travel(last), std::move(message));
}

void World::Reset(const std::shared_ptr<Stream>& stream) {
  if (!stream->open) return;
  stream->open = false;
  After(RandomMillis(0, 3000), [stream] { stream->controller->Closed(stream); });
  After(RandomMillis(0, 3000),
        [this, stream] { agents[static_cast<std::size_t>(stream->agent)]->Closed(stream); });
}

void World::Refuse(const std::shared_ptr<Stream>& stream) {
  stream->refused = Chance(0.8);
  Reset(stream);
}

// ---- plot

void World::StartController() { controllers.push_back(std::make_unique<SimController>(*this)); }

SimController& World::Leader() const {
  const auto leader =
      std::max_element(controllers.begin(), controllers.end(), [](const auto& a, const auto& b) {
        return std::pair(a->alive(), a->epoch()) < std::pair(b->alive(), b->epoch());
      });
  return **leader;
}

void World::ControllerDied(const SimController& controller) {
  for (const auto& stream : streams_) {
    if (stream->controller == &controller) Reset(stream);
  }
  After(RandomMillis(200, 15'000), [this] {
    if (!Leader().alive()) StartController();
  });
}

void World::Repeat(Millis mean, const Job& what) {
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
  // Mostly short, sometimes longer than every lease, permit and grace period.
  const auto freeze = [this] { return RandomMillis(500, Chance(0.4) ? 90'000 : 15'000); };
  Repeat(faults.controller_crash, [this] { Leader().Crash(Chance(0.5)); });
  Repeat(faults.controller_takeover, [this, freeze] {
    if (Chance(0.5)) Leader().Freeze(freeze());
    After(RandomMillis(0, 3000), [this] { StartController(); });
  });
  Repeat(faults.controller_freeze, [this, freeze] { Leader().Freeze(freeze()); });
  Repeat(faults.agent_crash, [any_agent] { any_agent().CrashProcess(); });
  Repeat(faults.agent_freeze, [any_agent, freeze] { any_agent().Freeze(freeze()); });
  Repeat(faults.machine_crash, [any_agent] { any_agent().CrashMachine(); });
  Repeat(faults.machine_suspend, [any_agent, freeze] { any_agent().Suspend(freeze()); });
  Repeat(faults.connection_reset, [this] {
    if (!streams_.empty()) Reset(streams_[Random(streams_.size())]);
  });
  Repeat(faults.partition, [this] {
    const auto agent = Random(agents.size());
    cut_until_[agent] = now_ + RandomMillis(1000, 60'000);
    Trace("agent ", agent, " is cut off");
    for (const auto& stream : streams_) {
      if (stream->agent == static_cast<int>(agent)) Reset(stream);
    }
  });
  Repeat(faults.agent_disk_full,
         [this] { disk_full_until_[Random(agents.size())] = now_ + RandomMillis(1000, 30'000); });
  Repeat(faults.controller_disk_full,
         [this] { controller_disk_full_until_ = now_ + RandomMillis(1000, 30'000); });
  Repeat(faults.clock_step, [this, any_agent] {
    const Duration by = seconds(static_cast<int>(Random(172'800)) - 86'400);
    if (Chance(0.5)) return any_agent().StepWall(by);
    Trace("the controller's wall clock jumps");
    oracles.ControllerClockStepped();
    Leader().StepWall(by);
  });
}

std::string World::Play() {
  for (int i = 0; i < scenario.agents; ++i) {
    agents.push_back(std::make_unique<SimAgent>(*this, i, i));
  }
  StartController();
  for (auto& agent : agents) agent->Boot();
  PlanFaults();
  PlanWork();
  RunUntil(now_ + scenario.workload, {});
  const auto stopped = [this] {
    return failed() || (options_.max_steps > 0 && steps_ >= options_.max_steps);
  };
  if (stopped()) return oracles.violation();
  faulty_ = false;
  controller_disk_full_until_ = now_;
  Trace("faults stop");
  // What is frozen thaws, what is dead is started, and an old leader finds out by itself.
  RunUntil(now_ + kPatience, [this] { return Settled(); });
  if (!stopped()) oracles.CheckEnd(answered_.size());
  return oracles.violation();
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

}  // namespace slipway::sim
