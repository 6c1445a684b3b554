#include "agent/runner/runner.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/workspace/mirror_cache.h"
#include "agent/workspace/work_trees.h"
#include "common/loghash/segment_hasher.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::runner {
namespace {

using testing::FakeContainerEngine;
using testing::TempDir;

// The core's end of the events.
class Events {
 public:
  void Post(agent::Event event) {
    const std::lock_guard lock(mu_);
    if (auto* ended = std::get_if<agent::AttemptEnded>(&event)) {
      results_.emplace(ended->key, std::move(ended->result));
    }
    if (std::holds_alternative<agent::AttemptDeleted>(event)) ++deleted_;
    changed_.notify_all();
  }
  bool WaitResults(std::size_t n) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return results_.size() >= n; });
  }
  bool WaitDeleted(std::size_t n) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return deleted_ >= n; });
  }
  std::map<AttemptKey, protocol::AttemptResult> results() {
    const std::lock_guard lock(mu_);
    return results_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::map<AttemptKey, protocol::AttemptResult> results_;
  std::size_t deleted_ = 0;
};

struct Machine {
  Machine() {
    workspace::MirrorOptions mirror_options;
    mirror_options.work_dir = dir / "work";
    auto made = workspace::MirrorCache::Create(mirror_options);
    REQUIRE_OK(made);
    mirrors = *std::move(made);
    auto kept = workspace::WorkTrees::Create(*mirrors, {});
    REQUIRE_OK(kept);
    trees = *std::move(kept);
    RunnerOptions options;
    options.owner = {.farm = FarmId("farm"), .agent = AgentId("agent")};
    options.data_dir = dir / "data";
    options.work_dir = dir / "work";
    options.init_binary = "/init";
    auto created = Runner::Create(
        options, {.engine = engine,
                  .engine_cpus = 2,
                  .ensure_image =
                      [this](const std::string& image, const std::function<void()>&,
                             const std::stop_token&) {
                        return engine.InspectImage(image, std::chrono::seconds(1));
                      },
                  .mirrors = *mirrors,
                  .trees = *trees,
                  .parse_spec = [](std::string_view repository) -> absl::StatusOr<TaskSpec> {
                    TaskSpec spec;
                    spec.platform = "weixin";
                    spec.work = BuildWork{.repository = std::string(repository), .ref = "main"};
                    return spec;
                  },
                  .make_sink = [](const AttemptKey&) { return nullptr; },
                  .make_source = [](const AttemptKey&) { return nullptr; },
                  .post = [this](agent::Event event) { events.Post(std::move(event)); }});
    REQUIRE_OK(created);
    runner = *std::move(created);
  }

  std::string LogOf(const AttemptKey& key) {
    std::string log(4096, '\0');
    const auto size = runner->ReadLog(key, 0, log.data(), log.size());
    log.resize(size.ok() ? *size : 0);
    return log;
  }

  const TempDir dir;
  FakeContainerEngine engine;
  Events events;
  std::unique_ptr<workspace::MirrorCache> mirrors;
  std::unique_ptr<workspace::WorkTrees> trees;
  std::unique_ptr<Runner> runner;
};

TEST_CASE("Runner: attempts run, are read, canceled and deleted at the same time", "[unit]") {
  constexpr std::size_t kAttempts = 8;
  Machine machine;
  std::vector<AttemptKey> keys;
  for (std::size_t i = 0; i < kAttempts; ++i) {
    keys.push_back({TaskId("task-" + std::to_string(i)), Attempt(1)});
  }
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      while (!stop) {
        for (const AttemptKey& key : keys) {
          (void)machine.LogOf(key);
          (void)machine.runner->LogMarks(key, 0, 100);
        }
      }
    });
  }
  for (const AttemptKey& key : keys) {
    // A scheme that no operator allowed: it ends before git is asked.
    machine.runner->Start({key, protocol::TaskKind::kBuild, "file:///nowhere"});
  }
  for (std::size_t i = 0; i < kAttempts; i += 2) machine.runner->Cancel(keys[i]);
  const bool ended = machine.events.WaitResults(kAttempts);
  std::map<AttemptKey, std::string> logs;
  for (const AttemptKey& key : keys) logs[key] = machine.LogOf(key);
  for (const AttemptKey& key : keys) machine.runner->Delete(key);
  const bool deleted = machine.events.WaitDeleted(kAttempts);
  for (const AttemptKey& key : keys) machine.runner->Forget(key);
  stop = true;
  for (std::thread& reader : readers) reader.join();

  REQUIRE(ended);
  REQUIRE(deleted);
  for (const auto& [key, result] : machine.events.results()) {
    INFO(key.task.value());
    REQUIRE(result.failure);
    CHECK((result.failure->reason == "REPOSITORY_URL_INVALID" ||
           result.failure->reason == "CANCELED"));
    CHECK(result.log.size == logs[key].size());
    CHECK(result.log.root == loghash::RootOf(logs[key]));
    char byte = 0;
    CHECK(machine.runner->ReadLog(key, 0, &byte, 1).status().code() == absl::StatusCode::kNotFound);
  }
  CHECK(machine.runner->Stop(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace slipway::runner
