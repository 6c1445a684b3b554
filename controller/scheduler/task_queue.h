#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/base/ids.h"

namespace slipway::scheduler {

using Labels = std::map<std::string, std::string>;

// An agent with `labels` may run what requires `requirements`: it has each of them, with that
// value.
[[nodiscard]] bool Fits(const Labels& requirements, const Labels& labels);

// Tasks that wait for an agent and agents that have room, and which pair is next. It knows no
// states, leases or time: SchedulerCore adds what may be offered and takes it out again.
//
// Order: priority, then the application served least recently, then the submitter whom that
// application served least recently, then the task that came first. Among the agents that fit: the
// one that had the application last (its mirror and image are warm), else the one with most room.
//
// Tasks of equal requirements share a class; an agent is matched against classes, not tasks, so
// that Best never looks at a task that fits nobody, and every operation is logarithmic in the
// tasks.
//
// Invariant: `ready_` lists exactly the classes that have both a task and an agent with room.
// Confined to the owner's mutex.
class TaskQueue {
 public:
  struct Item {
    TaskId task;
    ApplicationId application;
    std::string submitter;
    Labels requirements;
    std::int32_t priority = 0;
    // Rises with age of submission: smaller came first. Unique.
    std::uint64_t order = 0;
  };
  struct Claim {
    TaskId task;
    AgentId agent;
  };

  TaskQueue() = default;
  TaskQueue(TaskQueue&&) = default;
  TaskQueue& operator=(TaskQueue&&) = default;

  // REQUIRES: the task is not queued.
  void Add(Item item);
  // A no-op when it is not queued.
  void Remove(const TaskId& task);
  [[nodiscard]] bool Contains(const TaskId& task) const { return items_.contains(task); }

  // The agent can take `room` more tasks; 0 takes it out.
  void SetRoom(const AgentId& agent, const Labels& labels, std::uint32_t room);

  // The pair to offer next; nullopt: no queued task fits an agent with room. Changes nothing.
  [[nodiscard]] std::optional<Claim> Best() const;
  // The application, and of it the submitter, got its turn, on this agent.
  void Served(const ApplicationId& application, const std::string& submitter, const AgentId& agent);

  // Queued tasks that would be claimed before another.
  struct Ahead {
    std::size_t tasks = 0;
    // At most kNamedAhead of them: higher priorities first, of equal ones the oldest.
    std::vector<TaskId> first;
  };
  static constexpr std::size_t kNamedAhead = 5;
  // Those before `task` on agents with these labels, if nothing came and turns passed evenly; none
  // when it is not queued. Linear in submitters with tasks and in the submitter's own tasks: for
  // people, not for every claim.
  [[nodiscard]] Ahead AheadOf(const TaskId& task, const std::vector<Labels>& agents) const;

  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  // The submitter's served stamp, order of its first task, submitter.
  using Turn = std::tuple<std::uint64_t, std::uint64_t, std::string>;
  // Served stamp of the application, the first two of its first turn, application.
  using Rank = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, ApplicationId>;
  // Tasks of one application in one bucket. Nothing in it is empty.
  struct Backlog {
    std::map<std::string, std::map<std::uint64_t, TaskId>> tasks;  // by submitter
    std::set<Turn> turns;
  };
  struct Bucket {
    std::map<ApplicationId, Backlog> applications;
    std::set<Rank> ranks;
  };
  using ClassId = std::uint64_t;
  // negated priority, then the rank of the head
  using ReadyKey = std::tuple<std::int64_t, Rank, ClassId>;
  struct Class {
    ClassId id = 0;
    Labels requirements;
    std::map<std::int64_t, Bucket> buckets;           // by negated priority; none is empty
    std::set<std::pair<std::int64_t, AgentId>> room;  // negated room first
    std::optional<ReadyKey> ready;
  };
  struct AgentRoom {
    Labels labels;
    std::uint32_t room = 0;
    std::set<ClassId> fits;
  };
  struct Submitter {
    std::uint64_t served = 0;
    std::size_t queued = 0;
  };
  struct Application {
    std::uint64_t served = 0;
    AgentId last_agent;
    std::map<std::string, Submitter> submitters;
    std::set<std::pair<ClassId, std::int64_t>> buckets;  // where it has tasks
  };

  Class& ClassOf(const Labels& requirements);
  Application& ApplicationOf(const ApplicationId& id);
  static Submitter& SubmitterOf(Application& app, const std::string& name);
  void DropIdleClasses();
  void UpdateReady(Class& cls);
  static Turn TurnOf(const std::string& submitter, const Application& app, const Backlog& backlog);
  static Rank RankOf(const ApplicationId& id, const Application& app, const Backlog& backlog);

  std::map<TaskId, Item> items_;
  std::map<ClassId, Class> classes_;
  std::map<Labels, ClassId> class_ids_;
  std::map<AgentId, AgentRoom> agents_;
  std::map<ApplicationId, Application> applications_;
  std::set<ReadyKey> ready_;
  ClassId last_class_ = 0;
  std::uint64_t serve_count_ = 0;
};

}  // namespace slipway::scheduler
