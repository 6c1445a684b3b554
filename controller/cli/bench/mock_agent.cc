#include "controller/cli/bench/mock_agent.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>

#include "common/base/ids.h"
#include "common/rpc/agent_channel.h"
#include "common/rpc/convert.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kMinBackoff = 200ms;
constexpr Duration kMaxBackoff = 5s;
// Until the controller has said otherwise.
constexpr Duration kSyncInterval = 15s;

std::shared_ptr<grpc::Channel> MakeChannel(const MockIdentity& identity, const MockRole& role) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = identity.ca_pem;
  tls.pem_private_key = std::string(identity.key_pem.view());
  tls.pem_cert_chain = identity.certificate_pem;
  return grpc::CreateCustomChannel(role.server, grpc::SslCredentials(tls),
                                   rpc::AgentChannelArguments());
}

v1::AttemptRef RefOf(const std::pair<std::string, std::int64_t>& key) {
  v1::AttemptRef ref;
  ref.set_task(key.first);
  ref.set_attempt(key.second);
  return ref;
}

}  // namespace

// At most one write is pending. Guarded by the agent's mu_, apart from the message being read.
class MockAgent::Stream final
    : public grpc::ClientBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  explicit Stream(std::shared_ptr<MockAgent> agent) : agent_(std::move(agent)) {}

  void Begin(std::shared_ptr<Stream> self) {
    self_ = std::move(self);
    // The channel connects at its own pace.
    context_.set_wait_for_ready(true);
    agent_->stub_->async()->Connect(&context_, this);
    // Writes are started from outside the reactions; given back when reading ends.
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  // REQUIRES: the agent's mu_.
  void Send(v1::AgentMessage message) {
    if (ended_) return;
    outgoing_.push_back(std::move(message));
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (ok) {
      agent_->OnMessage(*this, incoming_);
      StartRead(&incoming_);
      return;
    }
    {
      const std::lock_guard lock(agent_->mu_);
      ended_ = true;
    }
    RemoveHold();
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(agent_->mu_);
    outgoing_.pop_front();
    if (ok && !ended_ && !outgoing_.empty()) StartWrite(&outgoing_.front());
  }
  void OnDone(const grpc::Status& status) override {
    agent_->OnEnded(*this, status);
    const std::shared_ptr<Stream> self = std::move(self_);
  }

 private:
  const std::shared_ptr<MockAgent> agent_;
  std::shared_ptr<Stream> self_;
  grpc::ClientContext context_;
  v1::ControllerMessage incoming_;
  std::deque<v1::AgentMessage> outgoing_;
  bool ended_ = false;
};

MockAgent::MockAgent(const MockIdentity& identity, const MockRole& role)
    : role_(role),
      channel_(MakeChannel(identity, role)),
      stub_(v1::AgentService::NewStub(channel_)),
      connect_at_(clock_.Mono()),
      backoff_(kMinBackoff),
      jitter_(std::hash<std::string>()(identity.id)) {}

MockAgent::~MockAgent() = default;

void MockAgent::Tick(MonoTime now) {
  const std::lock_guard lock(mu_);
  if (stopped_) return;
  if (!stream_) {
    if (now < connect_at_) return;
    sequence_ = 0;
    stream_ = std::make_shared<Stream>(shared_from_this());
    stream_->Begin(stream_);
    SayInventory();
  } else if (now >= next_sync_) {
    SayInventory();
  }
}

void MockAgent::Nudge() {
  const std::lock_guard lock(mu_);
  next_sync_ = clock_.Mono();
}

void MockAgent::Stop() {
  const std::lock_guard lock(mu_);
  stopped_ = true;
  if (stream_) stream_->Cancel();
}

bool MockAgent::ended() {
  const std::lock_guard lock(mu_);
  return stream_ == nullptr;
}

std::vector<AttemptTimes> MockAgent::TakeTimes() {
  const std::lock_guard lock(mu_);
  return std::exchange(times_, {});
}

void MockAgent::SayInventory() {
  v1::AgentMessage message;
  v1::Inventory& inventory = *message.mutable_inventory();
  inventory.set_sequence(++sequence_);
  inventory.set_slots(role_.slots);
  inventory.mutable_labels()->insert(role_.labels.begin(), role_.labels.end());
  inventory.set_agent_version("slipway-bench");
  inventory.set_protocol_version(1);
  inventory.mutable_health()->mutable_engine()->set_state(v1::ENGINE_STATE_OK);
  for (const auto& [key, held] : held_) {
    v1::AttemptStatus& status = *inventory.add_attempts();
    *status.mutable_ref() = RefOf(key);
    status.set_kind(held.kind);
    status.set_phase(held.phase);
  }
  stream_->Send(std::move(message));
  // What a broken stream or an error kept from the controller.
  for (auto& [key, held] : held_) {
    if (held.phase != v1::ATTEMPT_PHASE_ACCEPTED) Finish(key, held);
  }
  next_sync_ = clock_.Mono() + kSyncInterval;
}

void MockAgent::Finish(const Key& key, Held& held) {
  if (held.phase != v1::ATTEMPT_PHASE_FINISHED) {
    absl::StatusOr<v1::AttemptResult> result = role_.work(*stub_, RefOf(key));
    if (!result.ok()) return;
    held.result = *std::move(result);
    held.phase = v1::ATTEMPT_PHASE_FINISHED;
    const auto now = rpc::ToProto(clock_.Wall());
    *held.result.mutable_started_at() = now;
    *held.result.mutable_finished_at() = now;
  }
  v1::AgentMessage message;
  *message.mutable_result()->mutable_ref() = RefOf(key);
  *message.mutable_result()->mutable_result() = held.result;
  stream_->Send(std::move(message));
}

void MockAgent::Obey(const v1::DesiredAttempt& order, MonoTime now) {
  const Key key(order.ref().task(), order.ref().attempt());
  const auto it = held_.find(key);
  switch (order.want()) {
    case v1::WANT_OFFER: {
      v1::AgentMessage message;
      if (it == held_.end() && held_.size() >= role_.slots) {
        *message.mutable_refuse()->mutable_ref() = order.ref();
        message.mutable_refuse()->set_reason("no free slot");
      } else {
        if (it == held_.end()) {
          held_.emplace(key, Held{.kind = order.kind(), .since = sequence_, .offered = now});
        }
        *message.mutable_accept()->mutable_ref() = order.ref();
      }
      stream_->Send(std::move(message));
      break;
    }
    case v1::WANT_START:
    case v1::WANT_CANCEL:
      if (it == held_.end()) break;
      if (it->second.phase == v1::ATTEMPT_PHASE_ACCEPTED) {
        it->second.phase = v1::ATTEMPT_PHASE_RUNNING;
      }
      Finish(key, it->second);
      break;
    default: break;
  }
}

// What is to be forgotten, and what an answer leaves out.
std::size_t MockAgent::Forget(const v1::Desired& desired, MonoTime now) {
  std::size_t stored = 0;
  const auto forget = [&](std::map<Key, Held>::iterator it) {
    if (it->second.phase == v1::ATTEMPT_PHASE_FINISHED) {
      times_.push_back({it->first.first, it->second.offered, now});
      ++stored;
    }
    return held_.erase(it);
  };
  std::set<Key> listed;
  for (const auto& order : desired.attempts()) {
    const Key key(order.ref().task(), order.ref().attempt());
    if (order.want() == v1::WANT_FORGET) {
      if (const auto it = held_.find(key); it != held_.end()) forget(it);
    } else if (desired.answers() != 0) {
      listed.insert(key);
    }
  }
  if (desired.answers() == 0) return stored;
  for (auto it = held_.begin(); it != held_.end();) {
    const bool known = it->second.since < desired.answers();
    it = known && !listed.contains(it->first) ? forget(it) : std::next(it);
  }
  return stored;
}

void MockAgent::OnMessage(Stream& stream, const v1::ControllerMessage& message) {
  if (!message.has_desired()) return;
  const MonoTime now = clock_.Mono();
  std::size_t stored = 0;
  bool now_up = false;
  {
    const std::lock_guard lock(mu_);
    if (stream_.get() != &stream) return;
    const v1::Desired& desired = message.desired();
    stored = Forget(desired, now);
    for (const auto& order : desired.attempts()) Obey(order, now);
    if (desired.answers() != 0) {
      next_sync_ = now + rpc::FromProto(desired.sync_after());
      now_up = !std::exchange(up_, true);
      backoff_ = kMinBackoff;
    }
  }
  if (now_up) role_.linked(true);
  if (stored > 0) role_.stored(stored);
}

void MockAgent::OnEnded(Stream& stream, const grpc::Status&) {
  bool was_up = false;
  {
    const std::lock_guard lock(mu_);
    if (stream_.get() != &stream) return;
    stream_.reset();
    was_up = std::exchange(up_, false);
    connect_at_ = clock_.Mono() + Duration(std::uniform_int_distribution<Duration::rep>(
                                      0, backoff_.count())(jitter_));
    backoff_ = std::min(2 * backoff_, kMaxBackoff);
  }
  if (was_up) role_.linked(false);
}

}  // namespace slipway::bench
