#include "tests/support/fake_agent.h"

#include <algorithm>
#include <utility>

#include "agent/link/artifact_rpc.h"
#include "agent/link/channel.h"
#include "common/fs/files.h"
#include "common/manifest/scan.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::testing {
namespace {

constexpr std::size_t kLogPiece = std::size_t{256} << 10;
constexpr auto kRepeatAfter = milliseconds(300);

AttemptKey KeyOf(const v1::AttemptRef& ref) { return {TaskId(ref.task()), Attempt(ref.attempt())}; }

}  // namespace

FakeLogStream::FakeLogStream(v1::AgentService::Stub& stub, const AttemptKey& key)
    : key_(key), stream_(stub.AppendLog(&context_)), reader_([this] { ReadLoop(); }) {}

FakeLogStream::~FakeLogStream() {
  if (finished_) return;
  context_.TryCancel();
  Finish().IgnoreError();
}

void FakeLogStream::ReadLoop() {
  v1::AppendLogResponse response;
  while (stream_->Read(&response)) {
    const std::lock_guard lock(mu_);
    ++acks_;
    received_ = response.received();
    durable_ = std::max(durable_, response.durable());
    changed_.notify_all();
  }
  const std::lock_guard lock(mu_);
  over_ = true;
  changed_.notify_all();
}

std::optional<std::uint64_t> FakeLogStream::Resume() {
  std::uint64_t before = 0;
  {
    const std::lock_guard lock(mu_);
    before = acks_;
  }
  if (!Write(0, "")) return std::nullopt;
  std::unique_lock lock(mu_);
  changed_.wait_for(lock, seconds(20), [&] { return acks_ > before || over_; });
  if (acks_ == before) return std::nullopt;
  return received_;
}

bool FakeLogStream::Write(std::uint64_t offset, std::string_view data) {
  v1::AppendLogRequest request;
  if (!std::exchange(named_, true)) *request.mutable_ref() = rpc::ToProto(key_);
  request.set_offset(offset);
  request.set_data(std::string(data));
  return stream_->Write(request);
}

bool FakeLogStream::WaitDurable(std::uint64_t offset, seconds timeout) {
  std::unique_lock lock(mu_);
  changed_.wait_for(lock, timeout, [&] { return durable_ >= offset || over_; });
  return durable_ >= offset;
}

absl::Status FakeLogStream::Finish() {
  finished_ = true;
  stream_->WritesDone();
  reader_.join();
  return rpc::FromGrpc(context_, stream_->Finish());
}

namespace {

// As every agent with a Docker Engine says of itself.
std::map<std::string, std::string> WithExecutor(std::map<std::string, std::string> labels) {
  labels.emplace("executor", "docker");
  return labels;
}

}  // namespace

FakeAgent::FakeAgent(const link::Identity& identity, std::uint32_t slots,
                     std::map<std::string, std::string> labels)
    : slots_(slots),
      labels_(WithExecutor(std::move(labels))),
      channel_(link::MakeChannel(identity)),
      stub_(v1::AgentService::NewStub(channel_)) {}

FakeAgent::~FakeAgent() { Disconnect().IgnoreError(); }

void FakeAgent::Connect() {
  Disconnect().IgnoreError();
  {
    const std::lock_guard writing(write_mu_);
    const std::lock_guard lock(mu_);
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_wait_for_ready(true);
    stream_ = stub_->Connect(context_.get());
    ended_ = false;
    sequence_ = answered_ = 0;
    reader_ = std::thread([this, stream = stream_.get()] { ReadLoop(stream); });
  }
  SendInventory();
}

absl::Status FakeAgent::Disconnect(bool cancel) {
  if (!reader_.joinable()) return absl::OkStatus();
  if (cancel) context_->TryCancel();
  reader_.join();
  const std::lock_guard writing(write_mu_);
  const std::lock_guard lock(mu_);
  stream_.reset();
  return end_;
}

std::optional<absl::Status> FakeAgent::WaitEnded(seconds timeout) {
  if (!Wait([this] { return ended_; }, timeout)) return std::nullopt;
  return Disconnect(false);
}

bool FakeAgent::Reconnect(seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    if (channel_->WaitForConnected(std::chrono::system_clock::now() + seconds(1))) {
      Connect();
      if (Wait([this] { return answered_ > 0 || ended_; }, seconds(5)) && answered_ > 0) {
        return true;
      }
    }
  }
  return false;
}

void FakeAgent::SendInventory() {
  v1::AgentMessage message;
  v1::Inventory& inventory = *message.mutable_inventory();
  const std::lock_guard writing(write_mu_);
  {
    const std::lock_guard lock(mu_);
    inventory.set_sequence(++sequence_);
    for (const auto& [key, held] : held_) {
      v1::AttemptStatus& status = *inventory.add_attempts();
      *status.mutable_ref() = rpc::ToProto(key);
      status.set_kind(held.kind);
      status.set_phase(held.phase);
    }
    if (health_.has_engine()) *inventory.mutable_health() = health_;
    for (const v1::ImageReport& image : image_reports_) *inventory.add_images() = image;
  }
  inventory.set_slots(slots_);
  for (const auto& [key, value] : labels_) (*inventory.mutable_labels())[key] = value;
  inventory.set_agent_version("fake");
  inventory.set_protocol_version(1);
  WriteLocked(message);
}

void FakeAgent::SetHealth(const v1::AgentHealth& health) {
  {
    const std::lock_guard lock(mu_);
    health_ = health;
  }
  SendInventory();
}

void FakeAgent::SetImages(const std::vector<v1::ImageReport>& images) {
  {
    const std::lock_guard lock(mu_);
    image_reports_ = images;
  }
  SendInventory();
}

bool FakeAgent::WaitImages(const std::vector<std::string>& images, seconds timeout) {
  return Wait(
      [&] {
        return images_.size() == images.size() &&
               std::all_of(images.begin(), images.end(),
                           [&](const std::string& image) { return images_.contains(image); });
      },
      timeout);
}

std::uint64_t FakeAgent::ImageNumber(const std::string& image) {
  const std::lock_guard lock(mu_);
  const auto it = images_.find(image);
  return it == images_.end() ? 0 : it->second;
}

void FakeAgent::Send(const v1::AgentMessage& message) {
  const std::lock_guard writing(write_mu_);
  WriteLocked(message);
}

void FakeAgent::WriteLocked(const v1::AgentMessage& message) {
  if (stream_) stream_->Write(message);
}

void FakeAgent::Step(const AttemptKey& key, std::uint32_t number, const std::string& name,
                     v1::StepState state) {
  v1::AgentMessage message;
  v1::StepReport& step = *message.mutable_step();
  *step.mutable_ref() = rpc::ToProto(key);
  step.set_number(number);
  step.set_name(name);
  step.set_state(state);
  *step.mutable_at() = rpc::ToProto(SystemClock().Wall());
  Send(message);
}

void FakeAgent::ReadLoop(Stream* stream) {
  v1::ControllerMessage message;
  while (stream->Read(&message)) Take(message);
  const absl::Status status = rpc::FromGrpc(*context_, stream->Finish());
  const std::lock_guard lock(mu_);
  ended_ = true;
  end_ = status;
  changed_.notify_all();
}

void FakeAgent::Take(const v1::ControllerMessage& message) {
  {
    const std::lock_guard lock(mu_);
    epoch_ = std::max(epoch_, message.epoch());
  }
  if (message.has_desired()) {
    TakeDesired(message.desired());
  } else {
    const std::lock_guard lock(mu_);
    if (message.has_permit()) {
      permits_.insert_or_assign(KeyOf(message.permit().ref()), message.permit());
    } else if (message.has_permit_denied()) {
      permits_.insert_or_assign(KeyOf(message.permit_denied().ref()), message.permit_denied());
    }
  }
  changed_.notify_all();
}

void FakeAgent::TakeDesired(const v1::Desired& desired) {
  std::vector<v1::AgentMessage> answers;
  {
    const std::lock_guard lock(mu_);
    answered_ = std::max(answered_, desired.answers());
    if (desired.has_images()) {
      images_.clear();
      for (const v1::ImageOrder& order : desired.images().orders()) {
        images_[order.image()] = order.number();
      }
    }
    for (const v1::DesiredAttempt& attempt : desired.attempts()) {
      const AttemptKey key = KeyOf(attempt.ref());
      switch (attempt.want()) {
        case v1::WANT_OFFER:
          held_.try_emplace(key, Held{attempt.kind(), v1::ATTEMPT_PHASE_ACCEPTED});
          *answers.emplace_back().mutable_accept()->mutable_ref() = attempt.ref();
          break;
        case v1::WANT_START:
          if (held_.contains(key)) held_[key].phase = v1::ATTEMPT_PHASE_RUNNING;
          if (started_.insert(key).second) starts_.push_back({key, attempt.spec()});
          break;
        case v1::WANT_CANCEL: canceled_.insert(key); break;
        case v1::WANT_FORGET: held_.erase(key); break;
        default: break;
      }
    }
  }
  for (const auto& answer : answers) Send(answer);
  if (rpc::FromProto(desired.sync_after()) < seconds(2)) SendInventory();
}

template <typename Predicate>
bool FakeAgent::Wait(Predicate predicate, milliseconds timeout) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, timeout, predicate);
}

std::optional<FakeAgent::Work> FakeAgent::WaitStart(seconds timeout) {
  if (!Wait([this] { return !starts_.empty(); }, timeout)) return std::nullopt;
  const std::lock_guard lock(mu_);
  Work work = std::move(starts_.front());
  starts_.erase(starts_.begin());
  return work;
}

bool FakeAgent::WaitCancel(const AttemptKey& key, seconds timeout) {
  return Wait([&] { return canceled_.contains(key); }, timeout);
}

bool FakeAgent::WaitForgotten(const AttemptKey& key, seconds timeout) {
  return Wait([&] { return !held_.contains(key); }, timeout);
}

bool FakeAgent::Holds(const AttemptKey& key) {
  const std::lock_guard lock(mu_);
  return held_.contains(key);
}

std::int64_t FakeAgent::epoch() {
  const std::lock_guard lock(mu_);
  return epoch_;
}

std::unique_ptr<FakeLogStream> FakeAgent::OpenLog(const AttemptKey& key) {
  return std::make_unique<FakeLogStream>(*stub_, key);
}

absl::Status FakeAgent::AppendLog(const AttemptKey& key, std::string_view log) {
  const auto stream = OpenLog(key);
  std::uint64_t at = stream->Resume().value_or(log.size());
  while (at < log.size()) {
    const std::string_view piece = log.substr(at, kLogPiece);
    if (!stream->Write(at, piece)) break;
    at += piece.size();
  }
  const bool durable = stream->WaitDurable(log.size());
  const absl::Status status = stream->Finish();
  return durable || !status.ok() ? status : absl::DeadlineExceededError("the log is not durable");
}

absl::StatusOr<artifacts::UploadReport> FakeAgent::Upload(const AttemptKey& key,
                                                          const std::string& directory) {
  const auto sink = link::MakeArtifactSink([this] { return channel_; }, key);
  SLIPWAY_ASSIGN_OR_RETURN(const auto folder, fs::OpenDirectory(directory));
  SLIPWAY_ASSIGN_OR_RETURN(const auto manifest, manifest::ScanTree(folder.get(), {}));
  artifacts::TreeUploader uploader(*sink, [](Duration) { return false; });
  return uploader.Upload(folder.get(), manifest);
}

std::optional<FakeAgent::PermitAnswer> FakeAgent::AskPermit(const AttemptKey& key,
                                                            const Sha256Digest& manifest,
                                                            seconds timeout) {
  {
    const std::lock_guard lock(mu_);
    permits_.erase(key);
  }
  v1::AgentMessage message;
  *message.mutable_permit_request()->mutable_ref() = rpc::ToProto(key);
  message.mutable_permit_request()->set_manifest(rpc::ToProto(manifest));
  Send(message);
  if (!Wait([&] { return permits_.contains(key); }, timeout)) return std::nullopt;
  const std::lock_guard lock(mu_);
  return permits_.at(key);
}

void FakeAgent::SendResult(const AttemptKey& key, const protocol::AttemptResult& result) {
  {
    const std::lock_guard lock(mu_);
    if (const auto it = held_.find(key); it != held_.end()) {
      it->second.phase = v1::ATTEMPT_PHASE_FINISHED;
    }
  }
  v1::AgentMessage message;
  *message.mutable_result()->mutable_ref() = rpc::ToProto(key);
  *message.mutable_result()->mutable_result() = rpc::ToProto(result);
  Send(message);
}

bool FakeAgent::Report(const AttemptKey& key, const protocol::AttemptResult& result,
                       seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    SendResult(key, result);
    if (Wait([&] { return !held_.contains(key) || ended_; }, kRepeatAfter)) return !Holds(key);
  }
  return false;
}

}  // namespace slipway::testing
