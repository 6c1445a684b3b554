#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/core/events.h"
#include "agent/link/channel.h"
#include "agent/link/connect_stream.h"
#include "agent/link/log_source.h"
#include "agent/link/log_stream.h"
#include "agent/link/reconnect_pause.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"

namespace slipway::link {

// The controller says that this agent is none of its farm's, or none any more: only a person can
// mend that.
[[nodiscard]] bool RefusedForGood(const absl::Status& status);

struct LinkOptions {
  std::string server;  // for messages
  // Said in inventories, for people.
  std::string agent_version;
  // Pauses between streams that the controller ended, or refused: reconnect_pause.h; those of a log
  // are as long as a bound that doubles from `min` to `max`. While it cannot be reached at all
  // the channel sets the pace (channel.cc).
  Duration min_backoff = std::chrono::milliseconds(200);
  Duration max_backoff = std::chrono::seconds(5);
  // Asked once when no connection comes about: why, for people; empty when it cannot say. Blocks.
  std::function<std::string()> explain = [] { return std::string(); };
};

// The agent's end of the wire: holds one Connect stream whenever the controller can be reached, and
// an AppendLog stream for each attempt whose log flows. Says Connected, Disconnected and Received
// to the core in an order that holds: nothing of an older stream comes after a Connected.
//
// Each connection takes the channel that is the newest then. A controller that does not know this
// agent (any more) is asked no second time.
//
// A log that the controller cannot store concerns its attempt alone: what is sent of that log is
// dropped for a pause, then a new stream is opened.
//
// Owns no state of the protocol: what a broken stream loses, the core says again. `source` and what
// the functions refer to must outlive it. Thread-safe.
class Link {
 public:
  // `post` takes an event for the core; called under a lock, so it must only queue. `refused`
  // hears, once and from the link's thread, why nothing will connect any more (RefusedForGood).
  Link(ChannelSource channel, LinkOptions options, LogSource& source,
       std::function<void(agent::Event)> post, std::function<void(const absl::Status&)> refused);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void Start();
  // Ends all streams and returns when they have ended. No event is posted afterwards.
  void Stop();

  // Dropped when there is no stream.
  void Send(const protocol::AgentMessage& message);
  void SendLog(const AttemptKey& key, std::uint64_t offset, std::uint64_t end);
  // The attempt is gone: so is its log stream.
  void DropLog(const AttemptKey& key);

 private:
  void Run();
  enum class Try { kReached, kUnreachable, kRefused };
  // One stream from connect to its end.
  [[nodiscard]] Try RunOnce();
  void EndLogStreams();  // REQUIRES: mu_
  void OnMessage(protocol::ControllerMessage message);
  void OnLogAck(LogStream& stream, const protocol::LogAck& ack);
  void OnLogEnded(LogStream& stream, const absl::Status& why);

  // Constant after construction.
  const ChannelSource channel_;
  const LinkOptions options_;
  LogSource& source_;
  const std::function<void(agent::Event)> post_;
  const std::function<void(const absl::Status&)> refused_;

  // Guarded by mu_.
  std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool healthy_ = false;  // the controller spoke on the present stream
  MonoTime healthy_since_;
  bool log_failed_ = false;  // a log stream ended the present stream
  // Of the present stream, once it spoke; acks carry none of their own and wait for it.
  Epoch epoch_;
  std::map<AttemptKey, protocol::LogAck> early_acks_;
  std::unique_ptr<ConnectStream> stream_;
  std::map<AttemptKey, std::shared_ptr<LogStream>> log_streams_;
  // Of logs whose stream failed; forgotten when more of the log becomes durable.
  struct LogPause {
    MonoTime until;
    Duration bound;
    std::optional<std::uint64_t> durable;  // by the first ack of the new stream
  };
  std::map<AttemptKey, LogPause> log_pauses_;
  std::size_t open_log_streams_ = 0;  // those not in the map any more included

  const SystemClock clock_;

  // Confined to the worker.
  ReconnectPause pause_;
  std::string last_problem_;
  std::thread worker_;
};

}  // namespace slipway::link
