#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"
#include "tests/sim/sim_world.h"

// What submitters and operators of a simulated farm do.
namespace slipway::sim {

using domain::TaskKind;
using domain::TaskState;
using std::chrono::seconds;

void World::Submit(int number, int tries) {
  SimController& controller = Leader();
  // The caller asks again, with the same request id, when it hears nothing.
  const auto again = [this, number, tries] {
    After(RandomMillis(500, 3000), [this, number, tries] { Submit(number, tries + 1); });
  };
  if (!controller.serving()) return again();
  SimRandom plan(scenario.seed * 1000 + static_cast<std::uint64_t>(number));
  const std::string name = std::to_string(number) + "." + std::to_string(tries);
  scheduler::Submit submit;
  submit.ticket = controller.NewTicket();
  submit.run.id = RunId("run-" + name);
  submit.run.submitted_by = "dev";
  submit.run.request_id = "request-" + std::to_string(number);
  domain::Task build;
  build.id = TaskId("build-" + name);
  build.run = submit.run.id;
  build.application = ApplicationId("app-" + std::to_string(plan.Below(4)));
  build.requirements = {{"os", "linux"}};
  if (plan.Below(5) == 0) build.requirements["xcode"] = "15";
  build.priority = static_cast<std::int32_t>(plan.Below(2));
  if (plan.Below(4) == 0) build.group = "nightly";
  if (plan.Below(4) == 0) build.queue_timeout = seconds(5 * (1 << plan.Below(4)));
  submit.tasks.push_back(build);
  const bool publishes = plan.Below(3) > 0;
  if (publishes || plan.Below(2) > 0) {
    domain::Task& hand_over = submit.tasks.emplace_back(build);
    hand_over.id = TaskId((publishes ? "publish-" : "preview-") + name);
    hand_over.kind = publishes ? TaskKind::kPublish : TaskKind::kPreview;
    hand_over.state = TaskState::kWaiting;
    hand_over.depends_on = build.id;
    hand_over.target = plan.Below(2) > 0 ? "live" : "trial";
  }
  const auto heard = std::make_shared<bool>(false);
  const auto ticket = submit.ticket;
  controller.Call(std::move(submit), ticket, [=, this](const scheduler::Reply& reply) {
    *heard = true;
    if (absl::IsUnavailable(reply.status)) return again();
    answered_.insert(number);
    oracles.SubmitAnswered(TaskId("build-" + name), reply.status);
  });
  After(seconds(30), [heard, again] {
    if (!*heard) again();
  });
}

void World::Cancel() {
  SimController& controller = Leader();
  if (store.tasks().empty() || !controller.serving()) return;
  auto victim = store.tasks().begin();
  std::advance(victim, Random(store.tasks().size()));
  Trace("cancel ", victim->first);
  const auto ticket = controller.NewTicket();
  controller.Call(scheduler::Cancel{ticket, victim->first, "dev", "test"}, ticket,
                  [this, id = victim->first](const scheduler::Reply& reply) {
                    oracles.CancelAnswered(id, reply.status);
                  });
}

// Somebody looks at the platform and says what is there, or has it probed; a third of the unknown
// ones are left alone.
void World::Resolve() {
  SimController& controller = Leader();
  // Nobody's call waits longer than a call may take.
  if (!controller.serving() || controller.frozen()) return;
  std::vector<TaskId> unknown;
  for (const auto& [id, task] : store.tasks()) {
    // "publish-7.0": by the submit's number.
    if (task.state == TaskState::kUnknown && id.value()[8] % 3 != 2) unknown.push_back(id);
  }
  if (unknown.empty()) return;
  const TaskId& id = unknown[Random(unknown.size())];
  if (id.value()[8] % 3 == 1) return Probe(id);
  scheduler::Resolve resolve = ResolutionOf(id, oracles.Shown(id));
  resolve.ticket = controller.NewTicket();
  Trace("resolve ", id, oracles.Shown(id) ? ": published" : ": not published");
  const auto ticket = resolve.ticket;
  controller.Call(std::move(resolve), ticket, [this, id](const scheduler::Reply& reply) {
    oracles.ResolveAnswered(id, reply.status);
  });
}

// One at a time; another one when it came to nothing.
void World::Probe(const TaskId& publish) {
  SimController& controller = Leader();
  if (const auto last = probes_.find(publish); last != probes_.end()) {
    const domain::Task* row = store.Find(last->second);
    if (row != nullptr && !domain::IsTerminal(row->state)) return;
  }
  const std::string name = std::to_string(probes_asked_++);
  scheduler::Submit submit;
  submit.ticket = controller.NewTicket();
  submit.run.id = RunId("probe-run-" + name);
  submit.run.submitted_by = "dev";
  submit.run.request_id = "probe-request-" + name;
  const domain::Task& about = *store.Find(publish);
  domain::Task probe;
  probe.id = TaskId("probe-" + name);
  probe.run = submit.run.id;
  probe.kind = TaskKind::kProbe;
  probe.application = about.application;
  probe.target = about.target;
  probe.depends_on = publish;
  probe.requirements = about.requirements;
  probe.queue_timeout = about.queue_timeout;
  probes_[publish] = probe.id;
  submit.tasks.push_back(std::move(probe));
  Trace("probe ", publish);
  const auto ticket = submit.ticket;
  controller.Call(std::move(submit), ticket, [](const scheduler::Reply&) {});
}

void World::Order(std::size_t agent, domain::AgentMode mode) {
  const bool leave = mode == domain::AgentMode::kRetiring || domain::IsGone(mode);
  // Nothing more is wanted of one that is to leave.
  if (leaving_.contains(agent) && !leave) return;
  if (leave) {
    leaving_.insert(agent);
    oracles.LeaveOrdered(agents[agent]->id());
  }
  GiveOrder(agent, mode, ++newest_order_[agent]);
}

void World::GiveOrder(std::size_t agent, domain::AgentMode mode, std::uint64_t number) {
  const auto again = [this, agent, mode, number] {
    After(seconds(1), [this, agent, mode, number] {
      if (newest_order_[agent] == number) GiveOrder(agent, mode, number);
    });
  };
  SimController& controller = Leader();
  if (!controller.serving()) return again();
  scheduler::ChangeAgent order{
      .ticket = controller.NewTicket(),
      .agent = agents[agent]->id(),
      .availability = {.mode = mode, .reason = "test", .by = "dev", .since = {}, .until = {}}};
  Trace("order for agent ", agent, ": ", domain::AgentModeName(mode));
  const auto ticket = order.ticket;
  const auto heard = std::make_shared<bool>(false);
  controller.Call(order, ticket, [=, this](const scheduler::Reply& reply) {
    *heard = true;
    if (absl::IsUnavailable(reply.status)) again();
  });
  After(seconds(30), [heard, again] {
    if (!*heard) again();
  });
}

void World::Depart() {
  const std::size_t agent = Random(agents.size());
  if (Chance(0.5)) return Order(agent, domain::AgentMode::kRevoked);
  Order(agent, domain::AgentMode::kRetiring);
  if (scenario.planted.retired_with_work) {
    After(seconds(1), [this, agent] { Order(agent, domain::AgentMode::kRetired); });
  }
}

void World::ReplaceGone() {
  for (std::size_t i = 0; i < agents.size(); ++i) {
    const int number = static_cast<int>(i);
    if (!domain::IsGone(store.ModeOf(agents[i]->id())) || !replaced_.insert(number).second) {
      continue;
    }
    Trace("a new machine takes the place of agent ", number);
    cut_until_.emplace_back();
    disk_full_until_.emplace_back();
    agents.push_back(
        std::make_unique<SimAgent>(*this, static_cast<int>(agents.size()), agents[i]->like()));
    agents.back()->Boot();
  }
  After(seconds(2), [this] { ReplaceGone(); });
}

void World::PlanWork() {
  for (int i = 0; i < scenario.submits; ++i) {
    After(RandomMillis(0, static_cast<int>(scenario.workload.count())),
          [this, i] { Submit(i, 0); });
  }
  Repeat(scenario.looks, [this] { Resolve(); });
  Repeat(scenario.orders, [this] {
    const std::size_t agent = Random(agents.size());
    Order(agent, Chance(0.5) ? domain::AgentMode::kPaused : domain::AgentMode::kDraining);
    After(RandomMillis(1000, 20'000), [this, agent] { Order(agent, domain::AgentMode::kActive); });
  });
  Repeat(scenario.departures, [this] { Depart(); });
  if (scenario.departures > Millis::zero()) ReplaceGone();
  for (int i = 0; i < scenario.cancels; ++i) {
    After(RandomMillis(0, static_cast<int>(scenario.workload.count())), [this] { Cancel(); });
  }
}

}  // namespace slipway::sim
