#include "controller/agent_gateway/gateway.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "controller/agent_gateway/peer.h"

namespace slipway::agent_gateway {
namespace {

constexpr auto kTick = std::chrono::seconds(1);

// Clocks that are too far apart.
bool Skewed(const protocol::AgentHealth& health) {
  return health.clock_skew && (*health.clock_skew > protocol::kClockSkewBound ||
                               *health.clock_skew < -protocol::kClockSkewBound);
}

absl::Status Stopping() {
  return MakeError(absl::StatusCode::kUnavailable, "STOPPING", "the controller is stopping");
}

}  // namespace

void WipeSecret(scheduler::SessionSink::Body& body) {
  if (auto* permit = std::get_if<protocol::Permit>(&body)) {
    crypto::Wipe(permit->secret.data(), permit->secret.size());
  }
}

Gateway::Gateway(scheduler::Scheduler& scheduler, store::AgentStore& agents, const Clock& clock,
                 Pools pools, Epoch epoch, SessionOptions options)
    : scheduler_(scheduler),
      agents_(agents),
      clock_(clock),
      pools_(pools),
      epoch_(epoch),
      options_(options) {
  ticker_ = std::thread([this] { TickLoop(); });
}

Gateway::~Gateway() {
  Shutdown();
  if (ticker_.joinable()) ticker_.join();
}

void Gateway::Send(SessionId session, Body body) {
  std::shared_ptr<AgentStream> stream;
  {
    const std::lock_guard lock(mu_);
    const auto it = streams_.find(session);
    if (it != streams_.end()) stream = it->second.lock();
  }
  if (stream) {
    stream->Send(std::move(body));
  } else {
    WipeSecret(body);
  }
}

absl::StatusOr<SessionId> Gateway::Open(const AgentId& agent, std::weak_ptr<AgentStream> stream) {
  std::shared_ptr<AgentStream> older;
  SessionTable::Opened opened;
  {
    const std::lock_guard lock(mu_);
    SLIPWAY_RETURN_IF_ERROR(CheckWelcome(agent));
    opened = table_.Open(agent);
    if (opened.replaced) {
      const auto it = streams_.find(*opened.replaced);
      if (it != streams_.end()) older = it->second.lock();
    }
    streams_[opened.session] = std::move(stream);
  }
  if (older) {
    older->End(MakeError(absl::StatusCode::kAborted, "SESSION_REPLACED",
                         "the same agent has connected again",
                         "If two machines use one certificate, join one of them anew."));
  }
  return opened.session;
}

void Gateway::Close(const AgentId& agent, SessionId session) {
  const std::lock_guard lock(mu_);
  streams_.erase(session);
  if (table_.Close(agent, session)) about_.erase(agent);
}

absl::Status Gateway::CheckWelcome(const AgentId& agent) const {
  if (stopping_) return Stopping();
  const auto it = dismissed_.find(agent);
  return it == dismissed_.end() ? absl::OkStatus() : it->second;
}

absl::Status Gateway::Attach(const AgentId& agent, const OpenStream* key,
                             std::weak_ptr<OpenStream> stream) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(CheckWelcome(agent));
  others_[key] = {agent, std::move(stream)};
  return absl::OkStatus();
}

std::vector<std::shared_ptr<OpenStream>> Gateway::StreamsOf(const AgentId& agent) const {
  std::vector<std::shared_ptr<OpenStream>> open;
  const auto session = table_.Current(agent);
  if (const auto it = session ? streams_.find(*session) : streams_.end(); it != streams_.end()) {
    if (auto stream = it->second.lock()) open.push_back(std::move(stream));
  }
  for (const auto& [key, other] : others_) {
    if (other.agent != agent) continue;
    if (auto stream = other.stream.lock()) open.push_back(std::move(stream));
  }
  return open;
}

void Gateway::Disconnect(const AgentId& agent) {
  std::vector<std::shared_ptr<OpenStream>> open;
  {
    const std::lock_guard lock(mu_);
    open = StreamsOf(agent);
  }
  const absl::Status status =
      MakeError(absl::StatusCode::kUnavailable, "RELOADING",
                "the controller reads again whether this agent is still of the farm",
                "Try again in a moment.");
  for (const auto& stream : open) stream->End(status);
}

void Gateway::Dismiss(const AgentId& agent, const domain::Availability& why) {
  const absl::Status status = AgentGone(why);
  std::vector<std::shared_ptr<OpenStream>> open;
  {
    const std::lock_guard lock(mu_);
    dismissed_.emplace(agent, status);
    open = StreamsOf(agent);
  }
  for (const auto& stream : open) stream->End(status);
}

void Gateway::Detach(const OpenStream* key) {
  const std::lock_guard lock(mu_);
  others_.erase(key);
}

void Gateway::NoteInventory(const AgentId& agent, About about) {
  bool warn = false;
  {
    const std::lock_guard lock(mu_);
    About& last = about_[agent];
    warn = Skewed(about.health) && !Skewed(last.health);
    to_touch_[agent] = about.labels;
    last = about;
  }
  if (!warn) return;
  log::Warn(
      "agent_clock",
      {{"agent", agent.value()},
       {"ahead_s",
        std::to_string(
            std::chrono::duration_cast<std::chrono::seconds>(*about.health.clock_skew).count())}});
}

std::optional<Gateway::About> Gateway::AboutAgent(const AgentId& agent) const {
  const std::lock_guard lock(mu_);
  const auto it = about_.find(agent);
  if (it == about_.end()) return std::nullopt;
  return it->second;
}

void Gateway::SetImageOrders(std::vector<domain::ImageOrder> orders) {
  std::vector<std::pair<AgentId, std::shared_ptr<AgentStream>>> open;
  {
    const std::lock_guard lock(mu_);
    image_orders_ = std::move(orders);
    for (const auto& [agent, about] : about_) {
      const auto session = table_.Current(agent);
      const auto it = session ? streams_.find(*session) : streams_.end();
      if (it == streams_.end()) continue;
      if (auto stream = it->second.lock()) open.emplace_back(agent, std::move(stream));
    }
  }
  for (const auto& [agent, stream] : open) {
    protocol::Desired push{.answers = 0, .attempts = {}, .sync_after = options_.sync_interval};
    push.images = ImagesFor(agent);
    stream->Send(std::move(push));
  }
}

std::vector<protocol::ImageOrder> Gateway::ImagesFor(const AgentId& agent) const {
  std::map<std::string, std::uint64_t> numbers;
  {
    const std::lock_guard lock(mu_);
    for (const domain::ImageOrder& order : image_orders_) {
      if (!order.agent.value().empty() && order.agent != agent) continue;
      std::uint64_t& number = numbers[order.image];
      number = std::max(number, order.number);
    }
  }
  std::vector<protocol::ImageOrder> images;
  images.reserve(numbers.size());
  for (const auto& [image, number] : numbers) images.push_back({image, number});
  return images;
}

void Gateway::Shutdown() {
  std::vector<std::shared_ptr<OpenStream>> open;
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
    for (const auto& [session, weak] : streams_) {
      if (auto stream = weak.lock()) open.push_back(std::move(stream));
    }
    for (const auto& [key, other] : others_) {
      if (auto stream = other.stream.lock()) open.push_back(std::move(stream));
    }
  }
  wake_.notify_all();
  for (const auto& stream : open) stream->End(Stopping());
}

void Gateway::TickLoop() {
  while (true) {
    std::vector<std::shared_ptr<AgentStream>> open;
    store::AgentStore::Seen touched;
    {
      std::unique_lock lock(mu_);
      wake_.wait_for(lock, kTick, [this] { return stopping_; });
      if (stopping_) return;
      for (const auto& [session, weak] : streams_) {
        if (auto stream = weak.lock()) open.push_back(std::move(stream));
      }
      touched.swap(to_touch_);
    }
    for (const auto& stream : open) stream->Tick(clock_.Mono());
    // Only for people; the next inventories bring it again.
    if (!touched.empty()) agents_.Touch(touched, clock_.Wall()).IgnoreError();
  }
}

}  // namespace slipway::agent_gateway
