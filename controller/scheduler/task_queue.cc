#include "controller/scheduler/task_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"

namespace slipway::scheduler {
namespace {

// Records kept of classes, applications and submitters that have nothing queued; above that they
// are dropped.
constexpr std::size_t kMaxIdleClasses = 256;
constexpr std::size_t kMaxApplications = 10'000;
constexpr std::size_t kMaxSubmitters = 1'000;

// The first few tasks by priority and age, of which people want to know the names.
class Oldest {
 public:
  using Place = std::pair<std::int64_t, std::uint64_t>;  // negated priority, order of submit
  void Add(const Place& place, const TaskId& task) {
    if (tasks_.size() == TaskQueue::kNamedAhead && place > tasks_.rbegin()->first) return;
    tasks_.emplace(place, task);
    if (tasks_.size() > TaskQueue::kNamedAhead) tasks_.erase(std::prev(tasks_.end()));
  }
  void Add(std::int64_t negated_priority, const std::map<std::uint64_t, TaskId>& tasks) {
    std::size_t left = TaskQueue::kNamedAhead;
    for (const auto& [order, task] : tasks) {
      if (left-- == 0) break;
      Add({negated_priority, order}, task);
    }
  }
  // The first `limit` of the other's.
  void Add(const Oldest& other, std::size_t limit) {
    for (const auto& [place, task] : other.tasks_) {
      if (limit-- == 0) break;
      Add(place, task);
    }
  }
  [[nodiscard]] const std::map<Place, TaskId>& tasks() const { return tasks_; }
  [[nodiscard]] std::vector<TaskId> Names() const {
    std::vector<TaskId> names;
    for (const auto& [place, task] : tasks_) names.push_back(task);
    return names;
  }

 private:
  std::map<Place, TaskId> tasks_;
};

// What some submitters have queued at one priority.
struct Waiting {
  std::size_t tasks = 0;
  // Served stamp and order of the first task: the smaller has its turn first.
  std::pair<std::uint64_t, std::uint64_t> turn{UINT64_MAX, UINT64_MAX};
  Oldest oldest;
  void Count(std::size_t more, const std::pair<std::uint64_t, std::uint64_t>& begins) {
    tasks += more;
    turn = std::min(turn, begins);
  }
};

// The tasks of the next `turns` turns, which pass from submitter to submitter.
Oldest InTurn(const std::map<std::string, Waiting>& submitters, std::size_t turns) {
  std::vector<const Waiting*> by_turn;
  for (const auto& [submitter, waiting] : submitters) by_turn.push_back(&waiting);
  std::sort(by_turn.begin(), by_turn.end(),
            [](const Waiting* a, const Waiting* b) { return a->turn < b->turn; });
  Oldest first;
  for (std::size_t round = 0; round < TaskQueue::kNamedAhead; ++round) {
    for (const Waiting* waiting : by_turn) {
      if (waiting->oldest.tasks().size() <= round) continue;
      if (turns-- == 0) return first;
      const auto task =
          std::next(waiting->oldest.tasks().begin(), static_cast<std::ptrdiff_t>(round));
      first.Add(task->first, task->second);
    }
  }
  return first;
}

}  // namespace

bool Fits(const Labels& requirements, const Labels& labels) {
  return std::all_of(requirements.begin(), requirements.end(), [&](const auto& wanted) {
    const auto it = labels.find(wanted.first);
    return it != labels.end() && it->second == wanted.second;
  });
}

TaskQueue::Turn TaskQueue::TurnOf(const std::string& submitter, const Application& app,
                                  const Backlog& backlog) {
  return {app.submitters.at(submitter).served, backlog.tasks.at(submitter).begin()->first,
          submitter};
}

TaskQueue::Rank TaskQueue::RankOf(const ApplicationId& id, const Application& app,
                                  const Backlog& backlog) {
  const auto& [served, order, submitter] = *backlog.turns.begin();
  return {app.served, served, order, id};
}

TaskQueue::Class& TaskQueue::ClassOf(const Labels& requirements) {
  if (const auto it = class_ids_.find(requirements); it != class_ids_.end()) {
    return classes_.at(it->second);
  }
  if (classes_.size() >= kMaxIdleClasses) DropIdleClasses();
  const ClassId id = ++last_class_;
  class_ids_.emplace(requirements, id);
  Class& cls = classes_[id];
  cls.id = id;
  cls.requirements = requirements;
  for (auto& [agent, room] : agents_) {
    if (!Fits(requirements, room.labels)) continue;
    room.fits.insert(id);
    cls.room.emplace(-static_cast<std::int64_t>(room.room), agent);
  }
  return cls;
}

TaskQueue::Application& TaskQueue::ApplicationOf(const ApplicationId& id) {
  if (applications_.size() >= kMaxApplications && !applications_.contains(id)) {
    std::erase_if(applications_, [](const auto& entry) { return entry.second.buckets.empty(); });
  }
  return applications_[id];
}

TaskQueue::Submitter& TaskQueue::SubmitterOf(Application& app, const std::string& name) {
  if (app.submitters.size() >= kMaxSubmitters && !app.submitters.contains(name)) {
    std::erase_if(app.submitters, [](const auto& entry) { return entry.second.queued == 0; });
  }
  return app.submitters[name];
}

void TaskQueue::DropIdleClasses() {
  for (auto it = classes_.begin(); it != classes_.end();) {
    if (!it->second.buckets.empty()) {
      ++it;
      continue;
    }
    for (const auto& [room, agent] : it->second.room) agents_.at(agent).fits.erase(it->first);
    class_ids_.erase(it->second.requirements);
    it = classes_.erase(it);
  }
}

void TaskQueue::UpdateReady(Class& cls) {
  if (cls.ready) ready_.erase(*cls.ready);
  cls.ready.reset();
  if (cls.buckets.empty() || cls.room.empty()) return;
  const auto& [priority, bucket] = *cls.buckets.begin();
  cls.ready.emplace(priority, *bucket.ranks.begin(), cls.id);
  ready_.insert(*cls.ready);
}

void TaskQueue::Add(Item item) {
  Class& cls = ClassOf(item.requirements);
  Application& app = ApplicationOf(item.application);
  const std::int64_t priority = -static_cast<std::int64_t>(item.priority);
  ++SubmitterOf(app, item.submitter).queued;
  Bucket& bucket = cls.buckets[priority];
  Backlog& backlog = bucket.applications[item.application];
  if (!backlog.turns.empty()) bucket.ranks.erase(RankOf(item.application, app, backlog));
  if (backlog.tasks.contains(item.submitter)) {
    backlog.turns.erase(TurnOf(item.submitter, app, backlog));
  }
  backlog.tasks[item.submitter].emplace(item.order, item.task);
  backlog.turns.insert(TurnOf(item.submitter, app, backlog));
  bucket.ranks.insert(RankOf(item.application, app, backlog));
  app.buckets.emplace(cls.id, priority);
  UpdateReady(cls);
  const TaskId task = item.task;
  SLIPWAY_CHECK(items_.emplace(task, std::move(item)).second);
}

void TaskQueue::Remove(const TaskId& task) {
  const auto it = items_.find(task);
  if (it == items_.end()) return;
  const Item& item = it->second;
  Class& cls = classes_.at(class_ids_.at(item.requirements));
  Application& app = applications_.at(item.application);
  const std::int64_t priority = -static_cast<std::int64_t>(item.priority);
  Bucket& bucket = cls.buckets.at(priority);
  Backlog& backlog = bucket.applications.at(item.application);
  bucket.ranks.erase(RankOf(item.application, app, backlog));
  backlog.turns.erase(TurnOf(item.submitter, app, backlog));
  auto& tasks = backlog.tasks.at(item.submitter);
  tasks.erase(item.order);
  if (tasks.empty()) {
    backlog.tasks.erase(item.submitter);
  } else {
    backlog.turns.insert(TurnOf(item.submitter, app, backlog));
  }
  --app.submitters.at(item.submitter).queued;
  if (backlog.turns.empty()) {
    bucket.applications.erase(item.application);
    app.buckets.erase({cls.id, priority});
  } else {
    bucket.ranks.insert(RankOf(item.application, app, backlog));
  }
  if (bucket.applications.empty()) cls.buckets.erase(priority);
  UpdateReady(cls);
  items_.erase(it);
}

void TaskQueue::SetRoom(const AgentId& agent, const Labels& labels, std::uint32_t room) {
  std::set<ClassId> fits;
  bool matched = false;
  if (const auto known = agents_.find(agent); known != agents_.end()) {
    if (known->second.room == room && known->second.labels == labels) return;
    for (const ClassId id : known->second.fits) {
      Class& cls = classes_.at(id);
      cls.room.erase({-static_cast<std::int64_t>(known->second.room), agent});
      UpdateReady(cls);
    }
    matched = known->second.labels == labels;
    if (matched) fits = std::move(known->second.fits);
    agents_.erase(known);
  }
  if (room == 0) return;
  if (!matched) {
    for (const auto& [id, cls] : classes_) {
      if (Fits(cls.requirements, labels)) fits.insert(id);
    }
  }
  for (const ClassId id : fits) {
    Class& cls = classes_.at(id);
    cls.room.emplace(-static_cast<std::int64_t>(room), agent);
    UpdateReady(cls);
  }
  agents_[agent] = {labels, room, std::move(fits)};
}

std::optional<TaskQueue::Claim> TaskQueue::Best() const {
  if (ready_.empty()) return std::nullopt;
  const auto& [priority, rank, id] = *ready_.begin();
  const Class& cls = classes_.at(id);
  const ApplicationId& application = std::get<3>(rank);
  const Backlog& backlog = cls.buckets.begin()->second.applications.at(application);
  const TaskId& task = backlog.tasks.at(std::get<2>(*backlog.turns.begin())).begin()->second;
  const auto warm = agents_.find(applications_.at(application).last_agent);
  if (warm != agents_.end() && warm->second.fits.contains(id)) return Claim{task, warm->first};
  return Claim{task, cls.room.begin()->second};
}

void TaskQueue::Served(const ApplicationId& application, const std::string& submitter,
                       const AgentId& agent) {
  Application& app = ApplicationOf(application);
  Submitter& person = SubmitterOf(app, submitter);
  for (const auto& [id, priority] : app.buckets) {
    Bucket& bucket = classes_.at(id).buckets.at(priority);
    Backlog& backlog = bucket.applications.at(application);
    bucket.ranks.erase(RankOf(application, app, backlog));
    if (backlog.tasks.contains(submitter)) backlog.turns.erase(TurnOf(submitter, app, backlog));
  }
  app.served = person.served = ++serve_count_;
  app.last_agent = agent;
  for (const auto& [id, priority] : app.buckets) {
    Class& cls = classes_.at(id);
    Bucket& bucket = cls.buckets.at(priority);
    Backlog& backlog = bucket.applications.at(application);
    if (backlog.tasks.contains(submitter)) backlog.turns.insert(TurnOf(submitter, app, backlog));
    bucket.ranks.insert(RankOf(application, app, backlog));
    UpdateReady(cls);
  }
}

TaskQueue::Ahead TaskQueue::AheadOf(const TaskId& task, const std::vector<Labels>& agents) const {
  const auto found = items_.find(task);
  if (found == items_.end()) return {};
  const Item& item = found->second;
  std::map<ApplicationId, std::map<std::string, Waiting>> equals;
  std::size_t ahead = 0;
  Oldest first;
  std::size_t own_before = 0;  // tasks of the same submitter in front of this one
  for (const auto& [id, cls] : classes_) {
    const bool competes = std::any_of(
        agents.begin(), agents.end(),
        [&wanted = cls.requirements](const Labels& labels) { return Fits(wanted, labels); });
    if (!competes) continue;
    for (const auto& [negated, bucket] : cls.buckets) {
      if (-negated < item.priority) break;
      for (const auto& [application, backlog] : bucket.applications) {
        for (const auto& [submitter, tasks] : backlog.tasks) {
          if (-negated > item.priority) {
            ahead += tasks.size();
            first.Add(negated, tasks);
            continue;
          }
          const auto turn = TurnOf(submitter, applications_.at(application), backlog);
          Waiting& waiting = equals[application][submitter];
          waiting.Count(tasks.size(), {std::get<0>(turn), std::get<1>(turn)});
          waiting.oldest.Add(negated, tasks);
          if (application != item.application || submitter != item.submitter) continue;
          own_before +=
              static_cast<std::size_t>(std::distance(tasks.begin(), tasks.lower_bound(item.order)));
        }
      }
    }
  }
  // Whoever's turn comes first has one turn more before this task's, but no more than it has tasks.
  const auto& own = equals[item.application];
  const auto mine = own.find(item.submitter);
  if (mine == own.end()) return {ahead, first.Names()};  // none of these agents takes it
  std::size_t turns = own_before;
  first.Add(mine->second.oldest, own_before);
  for (const auto& [submitter, waiting] : own) {
    if (submitter == item.submitter) continue;
    const std::size_t more = waiting.turn < mine->second.turn ? 1 : 0;
    turns += std::min(waiting.tasks, own_before + more);
    first.Add(waiting.oldest, own_before + more);
  }
  const auto total = [](const std::map<std::string, Waiting>& submitters) {
    Waiting sum;
    for (const auto& [submitter, waiting] : submitters) sum.Count(waiting.tasks, waiting.turn);
    return sum;
  };
  const auto rank = [&](const ApplicationId& application, const Waiting& sum) {
    return std::pair(applications_.at(application).served, sum.turn);
  };
  const auto my_rank = rank(item.application, total(own));
  ahead += turns;
  for (const auto& [application, submitters] : equals) {
    if (application == item.application) continue;
    const Waiting sum = total(submitters);
    const std::size_t more = rank(application, sum) < my_rank ? 1 : 0;
    ahead += std::min(sum.tasks, turns + more);
    first.Add(InTurn(submitters, turns + more), kNamedAhead);
  }
  return {ahead, first.Names()};
}

}  // namespace slipway::scheduler
