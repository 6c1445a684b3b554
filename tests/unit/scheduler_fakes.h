#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/scheduler/work_orders.h"
#include "tests/support/in_memory_store.h"

// What a Scheduler stands on, for its tests.
namespace slipway::scheduler {

using std::chrono::seconds;

// The store, whose calls a test can hold up.
class HeldStore final : public store::SchedulerStore {
 public:
  explicit HeldStore(testing::InMemoryDatabase& database) : inner_(database) {}

  absl::StatusOr<Epoch> BecomeLeader() override { return inner_.BecomeLeader(); }
  absl::StatusOr<std::vector<absl::Status>> Commit(
      const std::vector<store::Change>& changes) override {
    {
      std::unique_lock lock(mu_);
      sizes_.push_back(changes.size());
      changed_.notify_all();
      changed_.wait(lock, [this] { return !hold_commits_; });
    }
    return inner_.Commit(changes);
  }
  absl::StatusOr<std::vector<absl::Status>> CheckRights(
      const std::vector<store::Change>& changes) override {
    const std::lock_guard lock(mu_);
    return std::vector<absl::Status>(changes.size(), right_);
  }
  absl::StatusOr<store::Unfinished> LoadUnfinished() override {
    {
      const std::lock_guard lock(mu_);
      ++loads_;
      if (fail_loads_) return absl::UnavailableError("no database");
    }
    return inner_.LoadUnfinished();
  }

  void HoldCommits(bool hold) {
    Set([&] { hold_commits_ = hold; });
  }
  // What is said of the right to any change, before it is committed.
  void SetRight(const absl::Status& right) {
    Set([&] { right_ = right; });
  }
  void FailLoads(bool fail) {
    Set([&] { fail_loads_ = fail; });
  }
  // Changes of each commit begun so far.
  std::vector<std::size_t> sizes() {
    const std::lock_guard lock(mu_);
    return sizes_;
  }
  int loads() {
    const std::lock_guard lock(mu_);
    return loads_;
  }
  bool WaitCommits(std::size_t n) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, seconds(10), [&] { return sizes_.size() >= n; });
  }

 private:
  template <typename Change>
  void Set(Change change) {
    {
      const std::lock_guard lock(mu_);
      change();
    }
    changed_.notify_all();
  }

  testing::InMemorySchedulerStore inner_;
  std::mutex mu_;
  std::condition_variable changed_;
  bool hold_commits_ = false;
  bool fail_loads_ = false;
  absl::Status right_;
  std::vector<std::size_t> sizes_;
  int loads_ = 0;
};

class FakeOrders final : public WorkOrders {
 public:
  absl::Status Complete(ResultReported& event) override {
    const std::lock_guard lock(mu);
    ++results_seen;
    event.log = log;
    if (event.result.ok() && event.result.publish) {
      event.release.emplace();
      event.release->publish_task = event.key.task;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<protocol::Failure>> Complete(PermitRequested& event) override {
    const std::lock_guard lock(mu);
    event.nonce = "nonce-" + std::to_string(++permits_seen);
    return denial;
  }
  absl::Status Complete(Resolve& event) override {
    const std::lock_guard lock(mu);
    event.result.emplace();
    if (event.resolution.verdict == domain::PublishVerdict::kPublished) event.release.emplace();
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> SpecOf(const TaskId& task) override {
    std::unique_lock lock(mu);
    ++specs_asked;
    specs_changed.notify_all();
    specs_changed.wait(lock, [this] { return !hold_specs; });
    if (!spec_error.ok()) return spec_error;
    return "spec of " + task.value();
  }
  absl::StatusOr<std::variant<std::string, protocol::Failure>> SecretOf(const TaskId&) override {
    const std::lock_guard lock(mu);
    return secret;
  }
  void ResultTaken(const TakenResult& result) override {
    const std::lock_guard lock(mu);
    taken.push_back(result.key);
  }
  void Changed(const std::vector<TaskId>& tasks) override {
    const std::lock_guard lock(mu);
    changed.insert(changed.end(), tasks.begin(), tasks.end());
  }
  void Loaded() override {
    const std::lock_guard lock(mu);
    ++loads_seen;
  }

  // Specifications are made once this is false again.
  void HoldSpecs(bool hold) {
    {
      const std::lock_guard lock(mu);
      hold_specs = hold;
    }
    specs_changed.notify_all();
  }
  bool WaitSpecsAsked(int n) {
    std::unique_lock lock(mu);
    return specs_changed.wait_for(lock, seconds(10), [&] { return specs_asked >= n; });
  }

  std::mutex mu;
  std::condition_variable specs_changed;
  bool hold_specs = false;
  int specs_asked = 0;
  LogState log = LogState::kComplete;
  std::optional<protocol::Failure> denial;
  absl::Status spec_error;
  std::variant<std::string, protocol::Failure> secret = std::string("secret");
  int results_seen = 0;
  int permits_seen = 0;
  int loads_seen = 0;
  std::vector<AttemptKey> taken;
  std::vector<TaskId> changed;
};

class FakeSink final : public SessionSink {
 public:
  void Send(SessionId, Body body) override {
    const std::lock_guard lock(mu_);
    sent_.push_back(std::move(body));
    changed_.notify_all();
  }
  void Disconnect(const AgentId& agent) override {
    const std::lock_guard lock(mu_);
    disconnected_.push_back(agent);
  }
  std::vector<AgentId> disconnected() {
    const std::lock_guard lock(mu_);
    return disconnected_;
  }
  void Dismiss(const AgentId& agent, const domain::Availability& why) override {
    const std::lock_guard lock(mu_);
    dismissed_.emplace_back(agent, why.mode);
  }
  std::vector<std::pair<AgentId, domain::AgentMode>> dismissed() {
    const std::lock_guard lock(mu_);
    return dismissed_;
  }
  // The first message from `from` on that `predicate` accepts.
  template <typename Predicate>
  std::optional<Body> Wait(Predicate predicate) {
    std::unique_lock lock(mu_);
    std::optional<Body> found;
    changed_.wait_for(lock, seconds(10), [&] {
      const auto it = std::find_if(sent_.begin(), sent_.end(), predicate);
      if (it != sent_.end()) found = *it;
      return found.has_value();
    });
    return found;
  }
  // The key of the first attempt with this want.
  std::optional<protocol::DesiredAttempt> WaitWant(protocol::Want want) {
    std::optional<protocol::DesiredAttempt> found;
    (void)Wait([&](const Body& body) {
      const auto* desired = std::get_if<protocol::Desired>(&body);
      if (desired == nullptr) return false;
      for (const auto& attempt : desired->attempts) {
        if (attempt.want == want) found = attempt;
      }
      return found.has_value();
    });
    return found;
  }
  std::size_t size() {
    const std::lock_guard lock(mu_);
    return sent_.size();
  }
  void Clear() {
    const std::lock_guard lock(mu_);
    sent_.clear();
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<Body> sent_;
  std::vector<std::pair<AgentId, domain::AgentMode>> dismissed_;
  std::vector<AgentId> disconnected_;
};

}  // namespace slipway::scheduler
