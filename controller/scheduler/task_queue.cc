#include "controller/scheduler/task_queue.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace slipway::scheduler {
namespace {

// Records kept of classes and applications that have nothing queued; above that they are dropped.
constexpr std::size_t kMaxIdleClasses = 256;
constexpr std::size_t kMaxApplications = 10'000;

bool Fits(const Labels& requirements, const Labels& labels) {
  return std::all_of(requirements.begin(), requirements.end(), [&](const auto& wanted) {
    const auto it = labels.find(wanted.first);
    return it != labels.end() && it->second == wanted.second;
  });
}

}  // namespace

TaskQueue::Rank TaskQueue::RankOf(const ApplicationId& id, const Application& app,
                                  const Bucket& bucket) {
  return {app.served, bucket.tasks.at(id).begin()->first, id};
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
  Bucket& bucket = cls.buckets[priority];
  const bool present = bucket.tasks.contains(item.application);
  if (present) bucket.ranks.erase(RankOf(item.application, app, bucket));
  bucket.tasks[item.application].emplace(item.order, item.task);
  bucket.ranks.insert(RankOf(item.application, app, bucket));
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
  bucket.ranks.erase(RankOf(item.application, app, bucket));
  auto& tasks = bucket.tasks.at(item.application);
  tasks.erase(item.order);
  if (tasks.empty()) {
    bucket.tasks.erase(item.application);
    app.buckets.erase({cls.id, priority});
  } else {
    bucket.ranks.insert(RankOf(item.application, app, bucket));
  }
  if (bucket.tasks.empty()) cls.buckets.erase(priority);
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
  const ApplicationId& application = std::get<2>(rank);
  const TaskId& task = cls.buckets.begin()->second.tasks.at(application).begin()->second;
  const auto warm = agents_.find(applications_.at(application).last_agent);
  if (warm != agents_.end() && warm->second.fits.contains(id)) return Claim{task, warm->first};
  return Claim{task, cls.room.begin()->second};
}

void TaskQueue::Served(const ApplicationId& application, const AgentId& agent) {
  Application& app = ApplicationOf(application);
  for (const auto& [id, priority] : app.buckets) {
    Bucket& bucket = classes_.at(id).buckets.at(priority);
    bucket.ranks.erase(RankOf(application, app, bucket));
  }
  app.served = ++serve_count_;
  app.last_agent = agent;
  for (const auto& [id, priority] : app.buckets) {
    Class& cls = classes_.at(id);
    Bucket& bucket = cls.buckets.at(priority);
    bucket.ranks.insert(RankOf(application, app, bucket));
    UpdateReady(cls);
  }
}

}  // namespace slipway::scheduler
