#include "controller/scheduler/task_queue.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace slipway::scheduler {
namespace {

const AgentId kA("a");
const AgentId kB("b");

TaskQueue::Item Item(const std::string& task, const std::string& app, std::uint64_t order,
                     Labels requirements = {}, std::int32_t priority = 0,
                     const std::string& submitter = "") {
  return {TaskId(task), ApplicationId(app), submitter, std::move(requirements), priority, order};
}

// Serves everything on agent `a` and returns the order.
std::string Drain(TaskQueue& queue) {
  std::string order;
  while (const auto claim = queue.Best()) {
    order += claim->task.value();
    queue.Served(ApplicationId(claim->task.value().substr(0, 1)), "", claim->agent);
    queue.Remove(claim->task);
  }
  return order;
}

TEST_CASE("TaskQueue: applications take turns whatever their backlog", "[unit][scheduler]") {
  TaskQueue queue;
  queue.SetRoom(kA, {}, 1);
  for (int i = 1; i <= 3; ++i) {
    queue.Add(Item("x" + std::to_string(i), "x", static_cast<std::uint64_t>(i)));
  }
  queue.Add(Item("y1", "y", 10));
  queue.Add(Item("z1", "z", 11));
  CHECK(Drain(queue) == "x1y1z1x2x3");
}

TEST_CASE("TaskQueue: higher priority goes first, equal ones in order of submission",
          "[unit][scheduler]") {
  TaskQueue queue;
  queue.SetRoom(kA, {}, 1);
  queue.Add(Item("x1", "x", 1));
  queue.Add(Item("x2", "x", 2));
  queue.Add(Item("x3", "x", 3, {}, 5));
  CHECK(Drain(queue) == "x3x1x2");
}

TEST_CASE("TaskQueue: a task that fits nobody does not hold up the others", "[unit][scheduler]") {
  TaskQueue queue;
  queue.SetRoom(kA, {{"os", "linux"}}, 1);
  queue.Add(Item("x1", "x", 1, {{"xcode", "15"}}, 9));
  queue.Add(Item("y1", "y", 2, {{"os", "linux"}}));
  REQUIRE(queue.Best().has_value());
  CHECK(queue.Best()->task == TaskId("y1"));
  queue.Remove(TaskId("y1"));
  CHECK_FALSE(queue.Best().has_value());
  queue.SetRoom(kB, {{"xcode", "15"}}, 1);
  REQUIRE(queue.Best().has_value());
  CHECK(queue.Best()->agent == kB);
}

TEST_CASE("TaskQueue: the agent that had the application last is preferred, else the emptiest",
          "[unit][scheduler]") {
  TaskQueue queue;
  queue.SetRoom(kA, {}, 1);
  queue.SetRoom(kB, {}, 3);
  queue.Add(Item("x1", "x", 1));
  CHECK(queue.Best()->agent == kB);
  queue.Served(ApplicationId("x"), "", kA);
  CHECK(queue.Best()->agent == kA);
  queue.SetRoom(kA, {}, 0);
  CHECK(queue.Best()->agent == kB);
}

TEST_CASE("TaskQueue: submitters of one application take turns whatever their backlog",
          "[unit][scheduler]") {
  TaskQueue queue;
  queue.SetRoom(kA, {}, 1);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    queue.Add(Item("x" + std::to_string(i), "x", i, {}, 0, "mei"));
  }
  queue.Add(Item("x4", "x", 4, {}, 0, "tao"));
  queue.Add(Item("y5", "y", 5, {}, 0, "mei"));
  std::string order;
  while (const auto claim = queue.Best()) {
    const std::string task = claim->task.value();
    order += task;
    queue.Served(ApplicationId(task.substr(0, 1)), task == "x4" ? "tao" : "mei", claim->agent);
    queue.Remove(claim->task);
  }
  CHECK(order == "x1y5x4x2x3");
}

TEST_CASE("TaskQueue: an application keeps coming back to its warm agent while that has room",
          "[unit][scheduler]") {
  std::mt19937_64 random(11);
  TaskQueue queue;
  std::map<std::string, std::uint32_t> room = {{"a", 2}, {"b", 2}, {"c", 2}};
  for (const auto& [agent, slots] : room) queue.SetRoom(AgentId(agent), {}, slots);
  std::map<std::string, std::string> last;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const std::string app(1, "vwxyz"[random() % 5]);
    queue.Add(Item("t" + std::to_string(i), app, i));
    const auto claim = queue.Best();
    REQUIRE(claim);
    const std::string agent = claim->agent.value();
    if (last.contains(app) && room[last[app]] > 0) CHECK(agent == last[app]);
    if (!last.contains(app)) {
      for (const auto& [other, slots] : room) CHECK(room[agent] >= slots);
    }
    queue.Remove(claim->task);
    queue.Served(ApplicationId(app), "", claim->agent);
    last[app] = agent;
    --room[agent];
    // Somebody finishes, so that one agent at least has room.
    std::string freed(1, "abc"[random() % 3]);
    for (const auto& [other, slots] : room) {
      if (slots < room[freed]) freed = other;
    }
    room[freed] = std::min<std::uint32_t>(room[freed] + 1, 2);
    for (const auto& [other, slots] : room) queue.SetRoom(AgentId(other), {}, slots);
  }
}

TEST_CASE("TaskQueue: a task is told how many go before it, and so it comes", "[unit][scheduler]") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 100; ++round) {
    TaskQueue queue;
    queue.SetRoom(kA, {{"os", "linux"}}, 1);
    std::map<std::string, TaskQueue::Item> items;
    const auto serve = [&] {
      const auto claim = queue.Best();
      REQUIRE(claim);
      const TaskQueue::Item item = items.at(claim->task.value());
      queue.Served(item.application, item.submitter, claim->agent);
      queue.Remove(item.task);
      items.erase(item.task.value());
      return item.task;
    };
    const std::uint64_t tasks = 1 + random() % 40;
    for (std::uint64_t i = 1; i <= tasks; ++i) {
      Labels wanted;
      if (random() % 2 == 0) wanted["os"] = "linux";
      const auto item = Item("t" + std::to_string(i), std::string(1, "xyz"[random() % 3]), i,
                             wanted, 0, std::string(1, "mnp"[random() % 3]));
      items[item.task.value()] = item;
      queue.Add(item);
      if (random() % 3 == 0) serve();
    }
    // Never ahead of anybody here: no such agent asks.
    queue.Add(Item("elsewhere", "x", 0, {{"os", "mac"}}, 9));
    std::map<TaskId, TaskQueue::Ahead> told;
    for (const auto& [id, item] : items) {
      told[item.task] = queue.AheadOf(item.task, {{{"os", "linux"}}});
    }
    std::map<TaskId, std::uint64_t> orders;
    for (const auto& [id, item] : items) orders[item.task] = item.order;
    std::map<std::uint64_t, TaskId> served;  // by order of submit
    while (!items.empty()) {
      const TaskId next = serve();
      CHECK(told[next].tasks == served.size());
      std::vector<TaskId> oldest;
      for (const auto& [order, task] : served) {
        if (oldest.size() < TaskQueue::kNamedAhead) oldest.push_back(task);
      }
      CHECK(told[next].first == oldest);
      served.emplace(orders.at(next), next);
    }
    CHECK(queue.AheadOf(TaskId("elsewhere"), {{{"os", "linux"}}}).tasks == 0);
  }
}

TEST_CASE("TaskQueue: everything of higher priority is ahead, nothing of lower is",
          "[unit][scheduler]") {
  TaskQueue queue;
  queue.Add(Item("x1", "x", 1, {}, 7));
  queue.Add(Item("y2", "y", 2, {}, 7));
  queue.Add(Item("x3", "x", 3, {}, -7));
  queue.Add(Item("y4", "y", 4));
  CHECK(queue.AheadOf(TaskId("y4"), {{}}).tasks == 2);
  CHECK(queue.AheadOf(TaskId("y4"), {{}}).first == std::vector{TaskId("x1"), TaskId("y2")});
  CHECK(queue.AheadOf(TaskId("x1"), {{}}).tasks == 0);
  CHECK(queue.AheadOf(TaskId("unknown"), {{}}).tasks == 0);
}

TEST_CASE("TaskQueue: after any history it offers exactly what a plain search would",
          "[unit][scheduler]") {
  std::mt19937_64 random(7);
  const std::vector<Labels> kinds = {{}, {{"os", "linux"}}, {{"os", "linux"}, {"gpu", "1"}}};
  const auto fits = [](const Labels& wanted, const Labels& labels) {
    for (const auto& [key, value] : wanted) {
      const auto it = labels.find(key);
      if (it == labels.end() || it->second != value) return false;
    }
    return true;
  };
  for (int round = 0; round < 50; ++round) {
    TaskQueue queue;
    std::map<std::string, TaskQueue::Item> items;
    std::map<std::string, std::pair<Labels, std::uint32_t>> agents;
    std::map<std::string, int> served;  // by application, and by application/submitter
    const auto person = [](const TaskQueue::Item& item) {
      return item.application.value() + "/" + item.submitter;
    };
    int turn = 0;
    for (std::uint64_t step = 1; step <= 200; ++step) {
      const auto dice = random() % 4;
      if (dice == 0) {
        const auto item = Item("t" + std::to_string(step), std::string(1, "xyz"[random() % 3]),
                               step, kinds[random() % 3], static_cast<std::int32_t>(random() % 2),
                               std::string(1, "mn"[random() % 2]));
        items[item.task.value()] = item;
        queue.Add(item);
      } else if (dice == 1) {
        const std::string agent(1, "abc"[random() % 3]);
        agents[agent] = {kinds[random() % 3], static_cast<std::uint32_t>(random() % 3)};
        queue.SetRoom(AgentId(agent), agents[agent].first, agents[agent].second);
      } else if (dice == 2 && !items.empty()) {
        const auto victim =
            std::next(items.begin(), static_cast<std::ptrdiff_t>(random() % items.size()));
        queue.Remove(victim->second.task);
        items.erase(victim);
      }
      const TaskQueue::Item* best = nullptr;
      const auto rank = [&](const TaskQueue::Item& item) {
        return std::tuple(-item.priority, served[item.application.value()], served[person(item)],
                          item.order);
      };
      for (const auto& [id, item] : items) {
        for (const auto& [agent, room] : agents) {
          const bool can = room.second > 0 && fits(item.requirements, room.first);
          if (can && (best == nullptr || rank(item) < rank(*best))) best = &item;
        }
      }
      const auto claim = queue.Best();
      REQUIRE(claim.has_value() == (best != nullptr));
      if (!claim) continue;
      REQUIRE(claim->task == best->task);
      REQUIRE(fits(best->requirements, agents[claim->agent.value()].first));
      REQUIRE(agents[claim->agent.value()].second > 0);
      if (random() % 2 == 0) {
        served[best->application.value()] = served[person(*best)] = ++turn;
        queue.Served(best->application, best->submitter, claim->agent);
        queue.Remove(claim->task);
        items.erase(claim->task.value());
      }
    }
    CHECK(queue.size() == items.size());
  }
}

}  // namespace
}  // namespace slipway::scheduler
