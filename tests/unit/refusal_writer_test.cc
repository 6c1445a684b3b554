#include "controller/audit/refusal_writer.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/wait_until.h"

namespace slipway::audit {
namespace {

using testing::WaitUntil;

// Keeps what is appended; can be made to fail, and to wait.
class FakeAuditStore final : public store::AuditStore {
 public:
  absl::Status Append(const std::vector<domain::AuditEntry>& entries) override {
    std::unique_lock lock(mu_);
    ++calls_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !shut_; });
    if (failures_ > 0) {
      --failures_;
      return absl::UnavailableError("no database");
    }
    largest_ = std::max(largest_, entries.size());
    entries_.insert(entries_.end(), entries.begin(), entries.end());
    return absl::OkStatus();
  }
  absl::StatusOr<store::AuditPage> List(const store::AuditFilter&) override { return Unused(); }
  absl::StatusOr<store::AuditStretch> ReadAfter(std::int64_t, int) override { return Unused(); }
  absl::StatusOr<std::int64_t> LastBefore(WallTime) override { return Unused(); }

  void Shut() {
    const std::lock_guard lock(mu_);
    shut_ = true;
  }
  void Open() {
    const std::lock_guard lock(mu_);
    shut_ = false;
    changed_.notify_all();
  }
  void Fail(int times) {
    const std::lock_guard lock(mu_);
    failures_ = times;
  }
  bool AwaitCalls(int calls) {
    return WaitUntil([&] {
      const std::lock_guard lock(mu_);
      return calls_ >= calls;
    });
  }
  std::vector<domain::AuditEntry> entries() {
    const std::lock_guard lock(mu_);
    return entries_;
  }
  std::size_t largest() {
    const std::lock_guard lock(mu_);
    return largest_;
  }

 private:
  static absl::Status Unused() { return absl::UnimplementedError("not asked for"); }

  std::mutex mu_;
  std::condition_variable changed_;
  bool shut_ = false;
  int failures_ = 0;
  int calls_ = 0;
  std::size_t largest_ = 0;
  std::vector<domain::AuditEntry> entries_;
};

domain::AuditEntry BadLogin(const std::string& name) {
  domain::AuditEntry refused;
  refused.actor = "stranger";
  refused.from = "203.0.113.7";
  refused.action = "log_in";
  refused.object = "account";
  refused.subject = name;
  refused.reason = "BAD_TOKEN";
  return refused;
}

std::int64_t TimesOf(const domain::AuditEntry& entry) {
  for (const auto& [name, value] : entry.details) {
    if (name == "times") return std::get<std::int64_t>(value);
  }
  return 1;
}

constexpr RefusalWriterOptions kQuick{.pause = std::chrono::milliseconds(1)};

TEST_CASE("RefusalWriter: a refusal is entered as it was said", "[unit][audit]") {
  FakeAuditStore store;
  RefusalWriter writer(store, kQuick);
  writer.RecordRefusal(BadLogin("bob"));
  REQUIRE(WaitUntil([&] { return store.entries().size() == 1; }));
  const auto entry = store.entries().at(0);
  CHECK(entry.subject == "bob");
  CHECK(entry.reason == "BAD_TOKEN");
  CHECK(entry.from == "203.0.113.7");
  CHECK(entry.details.empty());
}

TEST_CASE("RefusalWriter: the same refusal over and over is one entry that says how often",
          "[unit][audit]") {
  FakeAuditStore store;
  store.Shut();
  {
    RefusalWriter writer(store, kQuick);
    writer.RecordRefusal(BadLogin("first"));
    REQUIRE(store.AwaitCalls(1));
    for (int i = 0; i < 10'000; ++i) writer.RecordRefusal(BadLogin("bob"));
    store.Open();
  }
  const auto entries = store.entries();
  REQUIRE(entries.size() == 2);
  CHECK(entries[1].subject == "bob");
  CHECK(TimesOf(entries[1]) == 10'000);
}

TEST_CASE("RefusalWriter: of ten thousand different ones few are kept and the rest are counted",
          "[unit][audit]") {
  FakeAuditStore store;
  store.Shut();
  {
    RefusalWriter writer(store, {.max_waiting = 100, .pause = std::chrono::milliseconds(1)});
    writer.RecordRefusal(BadLogin("first"));
    REQUIRE(store.AwaitCalls(1));
    // The database does not answer, and nobody who is refused waits for it.
    for (int i = 0; i < 10'000; ++i) writer.RecordRefusal(BadLogin(std::to_string(i)));
    store.Open();
  }
  const auto entries = store.entries();
  REQUIRE(entries.size() == 1 + 100 + 1);
  CHECK(store.largest() == 101);
  CHECK(entries.back().action == "leave_out_refusals");
  CHECK(entries.back().reason == "TOO_MANY_REFUSALS");
  CHECK(TimesOf(entries.back()) == 9'900);
  std::int64_t all = 0;
  for (const auto& entry : entries) all += TimesOf(entry);
  CHECK(all == 10'001);
}

TEST_CASE("RefusalWriter: what could not be written is tried again, and comes once",
          "[unit][audit]") {
  FakeAuditStore store;
  store.Fail(3);
  RefusalWriter writer(store, kQuick);
  writer.RecordRefusal(BadLogin("bob"));
  REQUIRE(WaitUntil([&] { return !store.entries().empty(); }));
  writer.RecordRefusal(BadLogin("eve"));
  REQUIRE(WaitUntil([&] { return store.entries().size() == 2; }));
  CHECK(store.entries()[0].subject == "bob");
  CHECK(store.entries()[1].subject == "eve");
}

TEST_CASE("RefusalWriter: at its end it writes what waits, and does not wait for a dead database",
          "[unit][audit]") {
  FakeAuditStore store;
  store.Shut();
  {
    RefusalWriter writer(store, {.pause = std::chrono::hours(1)});
    writer.RecordRefusal(BadLogin("first"));
    REQUIRE(store.AwaitCalls(1));
    writer.RecordRefusal(BadLogin("bob"));
    store.Open();
  }
  CHECK(store.entries().size() == 2);
  FakeAuditStore dead;
  dead.Fail(1'000'000);
  {
    RefusalWriter writer(dead, {.pause = std::chrono::hours(1)});
    writer.RecordRefusal(BadLogin("bob"));
  }
  CHECK(dead.entries().empty());
}

TEST_CASE("RefusalWriter: what a stranger says is cut to a bounded length", "[unit][audit]") {
  FakeAuditStore store;
  {
    RefusalWriter writer(store, kQuick);
    domain::AuditEntry refused = BadLogin(std::string(1 << 20, 'x'));
    for (int i = 0; i < 100; ++i) refused.details.emplace_back("why", std::string(1 << 16, 'y'));
    writer.RecordRefusal(std::move(refused));
  }
  REQUIRE(store.entries().size() == 1);
  CHECK(domain::CanonicalEntry(store.entries()[0], 0).size() < 4096);
}

}  // namespace
}  // namespace slipway::audit
