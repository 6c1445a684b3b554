#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/cli/bench/mock_agent.h"
#include "controller/cli/client.h"
#include "controller/cli/client_options.h"

namespace slipway::bench {

struct FarmOptions {
  int agents = 1;
  std::uint32_t slots = 1;
  // Called from any thread when results were stored; must not block.
  std::function<void(std::size_t attempts)> stored = [](std::size_t) {};
  // The log of an attempt once it is whole. Nothing: it is still being printed; call `again`, which
  // is valid as long as the farm, when it is. Must not block. No function: nothing is printed.
  std::function<std::optional<v1::LogSummary>(
      v1::AgentService::Stub& stub, const v1::AttemptRef& ref, std::function<void()> again)>
      log = nullptr;
};

// Mock agents in a real farm: joined for this run under a name that nobody else has, thrown out at
// its end. Work gets to them by Requirements() alone, and no other work ever does. Thread-safe.
class MockFarm {
 public:
  // Blocks until all have joined. What the arguments refer to must outlive the farm.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<MockFarm>> Join(const cli::Client& client,
                                                                      const cli::Access& options,
                                                                      FarmOptions farm);
  // Ends all streams and leaves the real farm.
  ~MockFarm();
  MockFarm(const MockFarm&) = delete;
  MockFarm& operator=(const MockFarm&) = delete;

  // Lets them connect, all at once.
  void Connect();
  // Makes the application of its name() in the real farm.
  [[nodiscard]] absl::Status CreateApplication();
  // Until so many are connected. False: not within `patience`, or the user wants to stop.
  [[nodiscard]] bool WaitForUp(int agents, Duration patience);
  [[nodiscard]] int up();

  // Labels that only these agents have.
  [[nodiscard]] const std::map<std::string, std::string>& Requirements() const {
    return role_.labels;
  }
  // Unique per farm, for names of what belongs to it.
  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] std::vector<AttemptTimes> TakeTimes();

 private:
  MockFarm(const cli::Client& client, const cli::Access& options, FarmOptions farm);
  // All agents say their inventories and report what has become ready.
  void Nudge();
  void TickLoop(const std::stop_token& stop);
  // The product of all tasks is an empty tree; the first attempt archives it.
  [[nodiscard]] absl::StatusOr<v1::AttemptResult> Work(v1::AgentService::Stub& stub,
                                                       const v1::AttemptRef& ref);

  const cli::Client& client_;
  const FarmOptions options_;
  const std::string name_;
  MockRole role_;
  std::vector<std::shared_ptr<MockAgent>> agents_;
  const SystemClock clock_;

  std::mutex mu_;
  std::condition_variable_any changed_;  // up_
  std::condition_variable_any tick_;
  int up_ = 0;
  enum class Product { kNone, kOnItsWay, kArchived } product_ = Product::kNone;
  bool connect_ = false;

  std::jthread archiver_;
  std::jthread ticker_;
};

}  // namespace slipway::bench
