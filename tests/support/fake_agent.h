#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/artifacts/tree_uploader.h"
#include "agent/link/identity.h"
#include "common/base/ids.h"
#include "common/protocol/attempt_result.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One AppendLog call, driven by hand. Confined to one thread, but for its own reader.
class FakeLogStream {
 public:
  FakeLogStream(v1::AgentService::Stub& stub, const AttemptKey& key);
  ~FakeLogStream();

  // Asks where to resume. nullopt: the call has ended.
  std::optional<std::uint64_t> Resume();
  // False: the call has ended.
  bool Write(std::uint64_t offset, std::string_view data);
  // False: the call ended or `timeout` passed first.
  bool WaitDurable(std::uint64_t offset, seconds timeout = seconds(20));
  // Closes this side and gives the call's status.
  absl::Status Finish();

 private:
  void ReadLoop();

  const AttemptKey key_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AppendLogRequest, v1::AppendLogResponse>> stream_;
  bool named_ = false;
  bool finished_ = false;

  std::mutex mu_;
  std::condition_variable changed_;
  std::uint64_t acks_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t durable_ = 0;
  bool over_ = false;
  std::thread reader_;
};

// An agent that speaks the protocol over the real wire and does what the test says: it takes every
// offer, and the test writes the log, uploads, asks for permits and reports. It keeps what it holds
// over reconnects, as a real agent's journal would. Thread-safe.
class FakeAgent {
 public:
  struct Work {
    AttemptKey key;
    v1::TaskSpec spec;
  };
  using PermitAnswer = std::variant<v1::Permit, v1::PermitDenied>;

  explicit FakeAgent(const link::Identity& identity, std::uint32_t slots = 2,
                     std::map<std::string, std::string> labels = {});
  ~FakeAgent();

  // Opens the stream and sends the inventory.
  void Connect();
  // The stream's status, once it has ended; cancels it first when `cancel`.
  absl::Status Disconnect(bool cancel = true);
  // Waits until the controller ended the stream. nullopt: it did not.
  std::optional<absl::Status> WaitEnded(seconds timeout = seconds(20));
  // Connects again and again until the controller answers an inventory.
  bool Reconnect(seconds timeout = seconds(30));

  void SendInventory();
  // Said in every inventory from now on, the next of which is sent at once.
  void SetHealth(const v1::AgentHealth& health);
  void SetImages(const std::vector<v1::ImageReport>& images);
  // True once the controller wants exactly these images, by reference.
  bool WaitImages(const std::vector<std::string>& images, seconds timeout = seconds(20));
  // The newest number under which the image is wanted; 0: it is not.
  [[nodiscard]] std::uint64_t ImageNumber(const std::string& image);
  void Send(const v1::AgentMessage& message);
  void Step(const AttemptKey& key, std::uint32_t number, const std::string& name,
            v1::StepState state);

  // The next task to start.
  std::optional<Work> WaitStart(seconds timeout = seconds(20));
  bool WaitCancel(const AttemptKey& key, seconds timeout = seconds(20));
  bool WaitForgotten(const AttemptKey& key, seconds timeout = seconds(20));
  [[nodiscard]] bool Holds(const AttemptKey& key);
  // Highest epoch heard.
  [[nodiscard]] std::int64_t epoch();

  // The whole log, durable on return.
  absl::Status AppendLog(const AttemptKey& key, std::string_view log);
  std::unique_ptr<FakeLogStream> OpenLog(const AttemptKey& key);
  absl::StatusOr<artifacts::UploadReport> Upload(const AttemptKey& key,
                                                 const std::string& directory);
  std::optional<PermitAnswer> AskPermit(const AttemptKey& key, const Sha256Digest& manifest,
                                        seconds timeout = seconds(20));
  // Reports, again and again, until the attempt is to be forgotten.
  bool Report(const AttemptKey& key, const protocol::AttemptResult& result,
              seconds timeout = seconds(20));
  void SendResult(const AttemptKey& key, const protocol::AttemptResult& result);

  [[nodiscard]] v1::AgentService::Stub& stub() { return *stub_; }
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  struct Held {
    v1::TaskKind kind = v1::TASK_KIND_BUILD;
    v1::AttemptPhase phase = v1::ATTEMPT_PHASE_ACCEPTED;
  };
  using Stream = grpc::ClientReaderWriter<v1::AgentMessage, v1::ControllerMessage>;

  void ReadLoop(Stream* stream);
  void Take(const v1::ControllerMessage& message);
  void TakeDesired(const v1::Desired& desired);
  void WriteLocked(const v1::AgentMessage& message);
  template <typename Predicate>
  bool Wait(Predicate predicate, milliseconds timeout);

  const std::uint32_t slots_;
  const std::map<std::string, std::string> labels_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::AgentService::Stub> stub_;

  std::mutex write_mu_;  // one write at a time; taken before mu_
  std::mutex mu_;
  std::condition_variable changed_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Stream> stream_;
  bool ended_ = true;
  absl::Status end_;
  std::uint64_t sequence_ = 0;
  std::uint64_t answered_ = 0;
  std::int64_t epoch_ = 0;
  std::map<AttemptKey, Held> held_;
  std::vector<Work> starts_;
  std::set<AttemptKey> started_;
  std::set<AttemptKey> canceled_;
  std::map<AttemptKey, PermitAnswer> permits_;
  v1::AgentHealth health_;
  std::vector<v1::ImageReport> image_reports_;
  std::map<std::string, std::uint64_t> images_;

  std::thread reader_;
};

}  // namespace slipway::testing
