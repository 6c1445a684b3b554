#include "agent/link/link.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>

#include "common/log/log.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"

namespace slipway::link {
namespace {

using namespace std::chrono_literals;

// Between two looks at whether to stop, while the channel connects at its own pace.
constexpr auto kConnectPatience = 500ms;

std::uint64_t Seed() {
  const std::string id = NewUuid();
  return std::hash<std::string>()(id);
}

// What the controller said of this log, rather than of the connection or of itself.
bool ConcernsOneLog(const absl::Status& why) {
  switch (why.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnavailable: return false;
    default: return true;
  }
}

}  // namespace

bool RefusedForGood(const absl::Status& status) {
  static const std::set<std::string> kReasons = {"AGENT_REVOKED",       "AGENT_RETIRED",
                                                 "UNKNOWN_AGENT",       "NO_AGENT_CERTIFICATE",
                                                 "CERTIFICATE_EXPIRED", "CERTIFICATE_REPLACED"};
  return status.code() == absl::StatusCode::kUnauthenticated &&
         kReasons.contains(GetErrorInfo(status).reason);
}

Link::Link(ChannelSource channel, LinkOptions options, LogSource& source,
           std::function<void(agent::Event)> post, std::function<void(const absl::Status&)> refused)
    : channel_(std::move(channel)),
      options_(std::move(options)),
      source_(source),
      post_(std::move(post)),
      refused_(std::move(refused)),
      pause_(options_.min_backoff, options_.max_backoff, Seed()) {}

Link::~Link() { Stop(); }

void Link::Start() {
  worker_ = std::thread([this] { Run(); });
}

void Link::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
    if (stream_) stream_->Cancel();
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void Link::Send(const protocol::AgentMessage& message) {
  v1::AgentMessage proto = rpc::ToProto(message);
  if (proto.has_inventory()) {
    proto.mutable_inventory()->set_agent_version(options_.agent_version);
    proto.mutable_inventory()->set_protocol_version(1);
  }
  const std::lock_guard lock(mu_);
  if (stream_) stream_->Send(std::move(proto));
}

void Link::SendLog(const AttemptKey& key, std::uint64_t offset, std::uint64_t end) {
  std::shared_ptr<LogStream> stream;
  {
    const std::lock_guard lock(mu_);
    if (!stream_ || stopping_) return;
    const auto pause = log_pauses_.find(key);
    if (pause != log_pauses_.end() && clock_.Mono() < pause->second.until) return;
    std::shared_ptr<LogStream>& slot = log_streams_[key];
    if (slot == nullptr) {
      LogStream::Callbacks callbacks;
      callbacks.acked = [this](LogStream& from, const protocol::LogAck& ack) {
        OnLogAck(from, ack);
      };
      callbacks.ended = [this](LogStream& from, const absl::Status& why) { OnLogEnded(from, why); };
      slot = std::make_shared<LogStream>(key, source_, std::move(callbacks));
      ++open_log_streams_;
      slot->Begin(*v1::AgentService::NewStub(channel_()));
    }
    stream = slot;
  }
  stream->Send(offset, end);
}

void Link::DropLog(const AttemptKey& key) {
  const std::lock_guard lock(mu_);
  log_pauses_.erase(key);
  const auto it = log_streams_.find(key);
  if (it == log_streams_.end()) return;
  it->second->Cancel();
  log_streams_.erase(it);
}

void Link::OnLogEnded(LogStream& stream, const absl::Status& why) {
  const std::lock_guard lock(mu_);
  --open_log_streams_;
  changed_.notify_all();
  const auto it = log_streams_.find(stream.key());
  if (it == log_streams_.end() || it->second.get() != &stream) return;
  log_streams_.erase(it);
  if (GetErrorInfo(why).reason == "STALE_ATTEMPT") return;  // the controller says FORGET as well
  log::Warn("log_stream_lost",
            {{"task", stream.key().task.value()}, {"why", std::string(why.message())}});
  if (!ConcernsOneLog(why)) {
    // Which bytes arrived is not known any more: a new connection asks.
    log_failed_ = true;
    if (stream_) stream_->Cancel();
    return;
  }
  // The core sees at its syncs that no ack comes, and asks which bytes arrived.
  const auto [pause, first] = log_pauses_.try_emplace(
      stream.key(), LogPause{.until = {}, .bound = options_.min_backoff, .durable = {}});
  if (!first) pause->second.bound = std::min(2 * pause->second.bound, options_.max_backoff);
  pause->second.until = clock_.Mono() + pause->second.bound;
}

void Link::EndLogStreams() {
  for (const auto& [key, stream] : log_streams_) stream->Cancel();
  log_streams_.clear();
  log_pauses_.clear();
  early_acks_.clear();
}

void Link::OnMessage(protocol::ControllerMessage message) {
  const std::lock_guard lock(mu_);
  epoch_ = message.epoch;
  post_(agent::Received{std::move(message)});
  if (!healthy_) {
    healthy_ = true;
    healthy_since_ = clock_.Mono();
    last_problem_.clear();
    log::Info("link_up", {{"server", options_.server}});
  }
  for (const auto& [key, ack] : std::exchange(early_acks_, {})) {
    post_(agent::Received{{.epoch = epoch_, .body = ack}});
  }
}

void Link::OnLogAck(LogStream& stream, const protocol::LogAck& ack) {
  const std::lock_guard lock(mu_);
  const auto it = log_streams_.find(stream.key());
  if (it == log_streams_.end() || it->second.get() != &stream) return;
  if (const auto pause = log_pauses_.find(ack.key); pause != log_pauses_.end()) {
    std::optional<std::uint64_t>& durable = pause->second.durable;
    if (!durable) durable = ack.durable;
    if (ack.durable > *durable) log_pauses_.erase(pause);
  }
  if (healthy_) {
    post_(agent::Received{{.epoch = epoch_, .body = ack}});
  } else {
    early_acks_.insert_or_assign(ack.key, ack);
  }
}

Link::Try Link::RunOnce() {
  const std::shared_ptr<grpc::Channel> channel = channel_();
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + kConnectPatience)) {
    return Try::kUnreachable;
  }
  {
    const std::lock_guard lock(mu_);
    if (stopping_) return Try::kReached;
    healthy_ = false;
    log_failed_ = false;
    post_(agent::Connected{});
    stream_ = std::make_unique<ConnectStream>(
        *v1::AgentService::NewStub(channel),
        [this](protocol::ControllerMessage message) { OnMessage(std::move(message)); });
  }
  // stream_ is reset by this thread alone, so it may be used here without the lock.
  const absl::Status why = stream_->Wait();
  std::unique_lock lock(mu_);
  stream_.reset();
  EndLogStreams();
  if (!stopping_) post_(agent::Disconnected{});
  changed_.wait(lock, [this] { return open_log_streams_ == 0; });
  const std::string problem = Describe(why);
  if (!stopping_ && problem != last_problem_) {
    log::Warn("link_down", {{"server", options_.server}, {"why", problem}});
    last_problem_ = problem;
  }
  // A certificate that was renewed meanwhile was refused rightly; the next try has the new one.
  if (stopping_ || !RefusedForGood(why) || channel != channel_()) return Try::kReached;
  lock.unlock();
  refused_(why);
  return Try::kRefused;
}

void Link::Run() {
  for (;;) {
    const Try tried = RunOnce();
    const bool reached = tried == Try::kReached;
    std::unique_lock lock(mu_);
    if (stopping_ || tried == Try::kRefused) return;
    if (!reached) {
      if (last_problem_ != "unreachable") {
        last_problem_ = "unreachable";
        lock.unlock();
        const std::string why = options_.explain();
        log::Warn(
            "link_down",
            {{"server", options_.server},
             {"why",
              why.empty() ? "the controller cannot be reached; trying again until it can" : why}});
      }
      continue;  // the channel pauses between its attempts
    }
    const Duration spoke_for = healthy_ ? clock_.Mono() - healthy_since_ : Duration::zero();
    const Duration pause = pause_.Next(spoke_for, log_failed_);
    changed_.wait_for(lock, pause, [this] { return stopping_; });
  }
}

}  // namespace slipway::link
