#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/crypto/secret.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::bench {

// Who a mock agent is, as EnrollmentService made it.
struct MockIdentity {
  std::string id;
  std::string name;
  std::string ca_pem;
  std::string certificate_pem;
  crypto::SecretBytes key_pem;
};

// When things happened to an attempt, as its agent saw them.
struct AttemptTimes {
  std::string task;
  MonoTime offered;
  // The controller told the agent to forget it: its result is in the database.
  MonoTime stored;
};

// What all mock agents of one load have in common. Called from any thread, must not block.
struct MockRole {
  std::string server;  // host:port
  std::uint32_t slots = 1;
  std::map<std::string, std::string> labels;
  // What an attempt comes to; nothing is done for it. A first build may have its product archived
  // in there; after an error the attempt is held, and tried again with the next inventory.
  std::function<absl::StatusOr<v1::AttemptResult>(v1::AgentService::Stub& stub,
                                                  const v1::AttemptRef& ref)>
      work;
  std::function<void(std::size_t attempts)> stored;
  // The controller answered the first inventory of a stream, or that stream has ended.
  std::function<void(bool up)> linked;
};

// An agent without Docker and without a disk: it speaks the agents' protocol over a connection of
// its own, accepts what it has slots for and reports at once that it has succeeded. Comes back as
// slipway-agent does when the stream ends. Thread-safe.
class MockAgent : public std::enable_shared_from_this<MockAgent> {
 public:
  // `role` must outlive the agent and its streams.
  MockAgent(const MockIdentity& identity, const MockRole& role);
  ~MockAgent();
  MockAgent(const MockAgent&) = delete;
  MockAgent& operator=(const MockAgent&) = delete;

  // Opens a stream when there is none and it is time for one; says the inventory when that is due.
  void Tick(MonoTime now);
  // The inventory is due now.
  void Nudge();
  // Ends the stream for good.
  void Stop();
  // True: there is no stream any more.
  [[nodiscard]] bool ended();
  // Of the attempts that were stored since the last call.
  [[nodiscard]] std::vector<AttemptTimes> TakeTimes();

 private:
  class Stream;
  using Key = std::pair<std::string, std::int64_t>;
  struct Held {
    v1::TaskKind kind = v1::TASK_KIND_BUILD;
    v1::AttemptPhase phase = v1::ATTEMPT_PHASE_ACCEPTED;
    std::uint64_t since = 0;  // the inventories up to this one did not have it
    MonoTime offered;
    v1::AttemptResult result{};  // once finished
  };

  // All three are called by the stream, one at a time.
  void OnMessage(Stream& stream, const v1::ControllerMessage& message);
  void OnEnded(Stream& stream, const grpc::Status& status);
  // REQUIRES: mu_, and a stream.
  void SayInventory();
  void Finish(const Key& key, Held& held);
  std::size_t Forget(const v1::Desired& desired, MonoTime now);
  void Obey(const v1::DesiredAttempt& order, MonoTime now);

  // Constant after construction.
  const MockRole& role_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::AgentService::Stub> stub_;
  const SystemClock clock_;

  std::mutex mu_;
  std::shared_ptr<Stream> stream_;
  std::map<Key, Held> held_;
  std::vector<AttemptTimes> times_;
  std::uint64_t sequence_ = 0;  // of the stream's last inventory
  bool up_ = false;
  bool stopped_ = false;
  MonoTime next_sync_;
  MonoTime connect_at_;
  Duration backoff_;
  std::mt19937_64 jitter_;
};

}  // namespace slipway::bench
