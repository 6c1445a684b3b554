#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/runner/runner.h"
#include "agent/workspace/work_trees.h"
#include "common/git/mirror_cache.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::runner {

// The core's end of the events.
class Events {
 public:
  void Post(agent::Event event) {
    const std::lock_guard lock(mu_);
    if (auto* ended = std::get_if<agent::AttemptEnded>(&event)) {
      results_.emplace(ended->key, std::move(ended->result));
    }
    if (std::holds_alternative<agent::AttemptDeleted>(event)) ++deleted_;
    if (auto* happened = std::get_if<agent::StepHappened>(&event)) {
      steps_.insert(happened->step.name);
    }
    if (auto* given_up = std::get_if<agent::AttemptNotTakenUp>(&event)) given_up_ = *given_up;
    if (std::holds_alternative<agent::AttemptVanished>(event)) vanished_ = true;
    changed_.notify_all();
  }
  bool WaitResults(std::size_t n) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return results_.size() >= n; });
  }
  // Until one has ended; its result.
  std::optional<protocol::AttemptResult> WaitResult(const AttemptKey& key) {
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return results_.contains(key); });
    const auto it = results_.find(key);
    return it == results_.end() ? std::nullopt : std::optional(it->second);
  }
  bool WaitDeleted(std::size_t n) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return deleted_ >= n; });
  }
  std::optional<agent::AttemptNotTakenUp> WaitGivenUp() {
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return given_up_.has_value(); });
    return given_up_;
  }
  bool WaitVanished() {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return vanished_; });
  }
  // Until a step of that name has begun.
  bool WaitStep(const std::string& name) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return steps_.contains(name); });
  }
  void ForgetResults() {
    const std::lock_guard lock(mu_);
    results_.clear();
  }
  void ForgetSteps() {
    const std::lock_guard lock(mu_);
    steps_.clear();
  }
  bool anything_of(const AttemptKey& key) {
    const std::lock_guard lock(mu_);
    return results_.contains(key) || given_up_.has_value();
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
  std::set<std::string> steps_;
  std::optional<agent::AttemptNotTakenUp> given_up_;
  bool vanished_ = false;
};

// A farm that has every blob already.
class HasAll final : public artifacts::ArtifactSink {
 public:
  absl::StatusOr<std::vector<Sha256Digest>> FindMissing(std::string_view) override {
    return std::vector<Sha256Digest>();
  }
  absl::StatusOr<std::unique_ptr<artifacts::BlobStream>> StartUpload() override {
    return absl::UnimplementedError("nothing is missing");
  }
  absl::Status Finalize(const Sha256Digest&) override { return absl::OkStatus(); }
};

// A runner with everything that it needs, on a fake Engine.
struct Machine {
  // `schemes`: of repositories, beside those that are always allowed.
  explicit Machine(const std::set<std::string>& schemes = {}) {
    git::MirrorOptions mirror_options;
    mirror_options.work_dir = dir / "work";
    mirror_options.allowed_schemes.insert(schemes.begin(), schemes.end());
    auto made = git::MirrorCache::Create(mirror_options);
    REQUIRE_OK(made);
    mirrors = *std::move(made);
    auto kept = workspace::WorkTrees::Create(*mirrors, {});
    REQUIRE_OK(kept);
    trees = *std::move(kept);
    auto store = caches::CacheStore::Create({.work_dir = dir / "work", .farm = FarmId("farm")},
                                            mirrors->trash());
    REQUIRE_OK(store);
    caches = *std::move(store);
    pool::PoolOptions none;
    none.data_dir = dir / "data";
    none.work_dir = dir / "work";
    none.capacity = 0;
    auto empty = pool::WarmPool::Create(none, engine);
    REQUIRE_OK(empty);
    pool = *std::move(empty);
    Restart();
  }

  // Another process takes over what the runner before has left.
  void Restart() {
    runner.reset();
    RunnerOptions options;
    options.owner = {.farm = FarmId("farm"), .agent = AgentId("agent")};
    options.data_dir = dir / "data";
    options.work_dir = dir / "work";
    options.init_binary = "/init";
    auto created = Runner::Create(
        options,
        {.engine = engine,
         .engine_cpus = 2,
         .ensure_image =
             [this](const std::string& image, const std::function<void()>&,
                    const std::stop_token&) {
               return engine.InspectImage(image, std::chrono::seconds(1));
             },
         .make_image = [this](const std::string& image, const auto& make,
                              const std::stop_token& stop) -> absl::StatusOr<executor::ImageInfo> {
           auto there = engine.InspectImage(image, std::chrono::seconds(1));
           if (there.ok()) return there;
           SLIPWAY_RETURN_IF_ERROR(make(stop));
           return engine.InspectImage(image, std::chrono::seconds(1));
         },
         .networks = networks,
         .pool = *pool,
         .mirrors = *mirrors,
         .trees = *trees,
         .caches = *caches,
         .parse_spec = [this](std::string_view repository) -> absl::StatusOr<TaskSpec> {
           TaskSpec spec;
           spec.application = application;
           spec.platform = "weixin";
           if (repository == "publish") {
             spec.work = PublishWork{};
             return spec;
           }
           spec.work = BuildWork{.repository = std::string(repository),
                                 .ref = "main",
                                 .parameters = parameters,
                                 .script = brought,
                                 .no_caches = no_caches};
           return spec;
         },
         .make_sink = [](const AttemptKey&) { return std::make_unique<HasAll>(); },
         .make_source = [](const AttemptKey&) { return nullptr; },
         .post = [this](agent::Event event) { events.Post(std::move(event)); }});
    REQUIRE_OK(created);
    runner = *std::move(created);
  }

  // Of builds that are started from now on.
  std::map<std::string, std::string> parameters;
  std::string application = "app-1";
  bool no_caches = false;
  std::optional<BroughtScript> brought;

  std::string LogOf(const AttemptKey& key) {
    std::string log(4096, '\0');
    const auto size = runner->ReadLog(key, 0, log.data(), log.size());
    log.resize(size.ok() ? *size : 0);
    return log;
  }

  const testing::TempDir dir;
  testing::FakeContainerEngine engine;
  Events events;
  networks::NetworkKeeper networks{{.owner = {}, .init_binary = "/init", .capacity = 0}, engine};
  std::unique_ptr<pool::WarmPool> pool;
  std::unique_ptr<git::MirrorCache> mirrors;
  std::unique_ptr<workspace::WorkTrees> trees;
  std::unique_ptr<caches::CacheStore> caches;
  std::unique_ptr<Runner> runner;
};

}  // namespace slipway::runner
