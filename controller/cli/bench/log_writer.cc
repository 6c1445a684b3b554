#include "controller/cli/bench/log_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::bench {
namespace {

// As slipway-agent sends them, and as much as it may have on its way.
constexpr std::size_t kPiece = std::size_t{256} << 10;
constexpr std::uint64_t kWindow = std::uint64_t{8} << 20;

constexpr std::string_view kStamp = "printed at ";

// Text that is not the same everywhere; the offset in front makes pieces differ.
const std::string& Filler() {
  static const std::string text = [] {
    std::string made;
    for (std::uint64_t i = 0; made.size() < kPiece; ++i) {
      made += fmt::format("  compiled module {:016x}.js in {} ms\n", i * 0x9E3779B97F4A7C15U,
                          i * 7919 % 1000);
    }
    return made;
  }();
  return text;
}

}  // namespace

std::string StampLine(MonoTime now) {
  return fmt::format("{}{:020}: a line of a build as they come, eighty characters or so", kStamp,
                     now.time_since_epoch().count());
}

std::optional<MonoTime> StampOf(std::string_view line) {
  if (!line.starts_with(kStamp)) return std::nullopt;
  line.remove_prefix(kStamp.size());
  Duration::rep nanos = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), nanos);
  if (error != std::errc() || end == line.data()) return std::nullopt;
  return MonoTime(Duration(nanos));
}

LogWriter::LogWriter(v1::AgentService::Stub& stub, v1::AttemptRef ref, const LogPlan& plan,
                     std::function<void()> changed)
    : stub_(stub), ref_(std::move(ref)), plan_(plan), changed_(std::move(changed)) {
  thread_ = std::thread([this] {
    const absl::Status status = Print();
    {
      const std::lock_guard lock(mu_);
      state_.failed = status;
    }
    changed_();
  });
}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
  }
  context_.TryCancel();
  progress_.notify_all();
  thread_.join();
}

void LogWriter::Go() {
  {
    const std::lock_guard lock(mu_);
    go_ = true;
  }
  progress_.notify_all();
}

LogWriter::State LogWriter::state() const {
  const std::lock_guard lock(mu_);
  return state_;
}

absl::Status LogWriter::Print() {
  const auto stream = stub_.AppendLog(&context_);
  v1::AppendLogRequest hello;
  *hello.mutable_ref() = ref_;
  v1::AppendLogResponse answer;
  const bool open = stream->Write(hello) && stream->Read(&answer);
  absl::Status status;
  if (open) {
    std::thread acks([&] { TakeAcks(*stream); });
    status = Send(*stream, "a mock attempt of slipway-bench\n");
    if (status.ok()) status = WaitDurable(0);
    {
      std::unique_lock lock(mu_);
      state_.open = true;
      lock.unlock();
      changed_();
      lock.lock();
      progress_.wait(lock, [this] { return go_ || stopped_ || acks_over_; });
    }
    if (status.ok()) status = plan_.lines > 0 ? SendLines(*stream) : SendBytes(*stream);
    if (status.ok()) status = WaitDurable(0);
    stream->WritesDone();
    acks.join();
  }
  const absl::Status end = rpc::FromGrpc(context_, stream->Finish());
  const std::lock_guard lock(mu_);
  if (stopped_) return absl::OkStatus();
  if (!end.ok()) return end;
  SLIPWAY_RETURN_IF_ERROR(status);
  state_.whole.emplace();
  state_.whole->set_size(sent_);
  state_.whole->set_root(rpc::ToProto(hasher_.Finish()));
  return absl::OkStatus();
}

absl::Status LogWriter::Send(Stream& stream, std::string_view data) {
  hasher_.Update(data);
  v1::AppendLogRequest request;
  request.set_offset(sent_);
  request.set_data(std::string(data));
  sent_ += data.size();
  if (!stream.Write(request)) return absl::UnavailableError("the log's stream broke");
  return absl::OkStatus();
}

absl::Status LogWriter::SendBytes(Stream& stream) {
  std::string piece = Filler();
  for (std::uint64_t left = plan_.bytes; left > 0;) {
    const std::string place = fmt::format("{:020} ", sent_);
    piece.replace(0, place.size(), place);
    const std::size_t size = std::min<std::uint64_t>(left, kPiece);
    SLIPWAY_RETURN_IF_ERROR(Send(stream, std::string_view(piece).substr(0, size)));
    left -= size;
    SLIPWAY_RETURN_IF_ERROR(WaitDurable(kWindow));
  }
  return absl::OkStatus();
}

absl::Status LogWriter::SendLines(Stream& stream) {
  const MonoTime begin = clock_.Mono();
  for (int i = 0; i < plan_.lines; ++i) {
    const MonoTime when = begin + std::chrono::duration_cast<Duration>(
                                      std::chrono::duration<double>(i / plan_.lines_per_s));
    {
      std::unique_lock lock(mu_);
      progress_.wait_for(lock, when - clock_.Mono(),
                         [&] { return stopped_ || acks_over_ || clock_.Mono() >= when; });
      if (stopped_ || acks_over_) return absl::UnavailableError("the log's stream broke");
    }
    SLIPWAY_RETURN_IF_ERROR(Send(stream, StampLine(clock_.Mono()) + "\n"));
  }
  return absl::OkStatus();
}

void LogWriter::TakeAcks(Stream& stream) {
  v1::AppendLogResponse ack;
  while (stream.Read(&ack)) {
    {
      const std::lock_guard lock(mu_);
      durable_ = ack.durable();
      state_.durable_at = clock_.Mono();
    }
    progress_.notify_all();
  }
  {
    const std::lock_guard lock(mu_);
    acks_over_ = true;
  }
  progress_.notify_all();
}

absl::Status LogWriter::WaitDurable(std::uint64_t behind) {
  std::unique_lock lock(mu_);
  progress_.wait(lock, [&] { return stopped_ || acks_over_ || sent_ - durable_ <= behind; });
  if (sent_ - durable_ <= behind) return absl::OkStatus();
  return absl::UnavailableError("the log's stream broke");
}

std::optional<v1::LogSummary> LogWriters::LogOf(v1::AgentService::Stub& stub,
                                                const v1::AttemptRef& ref,
                                                std::function<void()> again) {
  const std::lock_guard lock(mu_);
  if (stopped_) return std::nullopt;
  std::unique_ptr<LogWriter>& writer = writers_[ref.task()];
  if (!writer) {
    writer = std::make_unique<LogWriter>(stub, ref, plan_, [this, again = std::move(again)] {
      again();
      changed_.notify_all();
    });
  }
  return writer->state().whole;
}

absl::Status LogWriters::WaitOpen(const cli::Client& client, std::size_t count, Duration patience) {
  std::size_t open = 0;
  absl::Status failed;
  const auto look = [&] {
    open = 0;
    for (const auto& [task, writer] : writers_) {
      const LogWriter::State state = writer->state();
      open += state.open ? 1 : 0;
      if (failed.ok()) failed = state.failed;
    }
    return open >= count || !failed.ok();
  };
  const SystemClock clock;
  const MonoTime end = clock.Mono() + patience;
  std::unique_lock lock(mu_);
  // Writers say that they are open without this lock.
  while (!look() && clock.Mono() < end && !client.stop().stop_requested()) {
    changed_.wait_for(lock, client.stop(), std::chrono::milliseconds(20), [] { return false; });
  }
  if (!failed.ok()) return failed;
  if (client.stop().stop_requested()) return cli::InterruptedError();
  if (open >= count) return absl::OkStatus();
  return absl::DeadlineExceededError(
      fmt::format("only {} of {} mock attempts could open their log", open, count));
}

void LogWriters::Go() {
  const std::lock_guard lock(mu_);
  for (const auto& [task, writer] : writers_) writer->Go();
}

absl::Status LogWriters::status() const {
  const std::lock_guard lock(mu_);
  for (const auto& [task, writer] : writers_) SLIPWAY_RETURN_IF_ERROR(writer->state().failed);
  return absl::OkStatus();
}

std::map<std::string, LogWriter::State> LogWriters::whole() const {
  const std::lock_guard lock(mu_);
  std::map<std::string, LogWriter::State> states;
  for (const auto& [task, writer] : writers_) {
    LogWriter::State state = writer->state();
    if (state.whole) states.emplace(task, std::move(state));
  }
  return states;
}

void LogWriters::Stop() {
  std::map<std::string, std::unique_ptr<LogWriter>> ended;
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
    ended.swap(writers_);
  }
}

}  // namespace slipway::bench
