#include "controller/cli/bench/log_reader.h"

#include <fmt/format.h>

#include <utility>

#include "common/status/status.h"
#include "controller/cli/bench/log_writer.h"

namespace slipway::bench {

class LogReader::Call final : public grpc::ClientReadReactor<v1::ReadLogResponse> {
 public:
  explicit Call(LogReader& reader) : reader_(reader) {
    reader.client_->Prepare(context_, 0);
    request_.set_task(reader.task_);
    request_.set_follow(true);
    reader.client_->tasks().async()->ReadLog(&context_, &request_, this);
    StartRead(&message_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    reader_.Take(message_);
    StartRead(&message_);
  }
  void OnDone(const grpc::Status& status) override {
    const absl::Status outcome = reader_.client_->Outcome(context_, status);
    reader_.changed_();
    // Notified under the lock: whoever waits may destroy this next.
    const std::lock_guard lock(reader_.mu_);
    reader_.state_.over = true;
    reader_.state_.status = reader_.wrong_.ok() ? outcome : reader_.wrong_;
    reader_.state_.root = reader_.hasher_.Finish();
    reader_.over_.notify_all();
  }

 private:
  LogReader& reader_;
  grpc::ClientContext context_;
  v1::ReadLogRequest request_;
  v1::ReadLogResponse message_;
};

LogReader::LogReader(std::unique_ptr<cli::Client> client, std::string task,
                     std::function<void()> changed)
    : client_(std::move(client)),
      task_(std::move(task)),
      changed_(std::move(changed)),
      call_(std::make_unique<Call>(*this)) {}

LogReader::~LogReader() {
  call_->Cancel();
  std::unique_lock lock(mu_);
  over_.wait(lock, [this] { return state_.over; });
}

LogReader::State LogReader::state() const {
  const std::lock_guard lock(mu_);
  return state_;
}

std::vector<Duration> LogReader::TakeLatencies() {
  const std::lock_guard lock(mu_);
  return std::exchange(latencies_, {});
}

void LogReader::Take(const v1::ReadLogResponse& message) {
  const MonoTime now = clock_.Mono();
  bool first = false;
  {
    const std::lock_guard lock(mu_);
    state_.complete = message.complete();
    if (message.offset() != state_.bytes && wrong_.ok()) {
      wrong_ = absl::DataLossError(
          fmt::format("the controller sent offset {} after {} bytes of the log of {}",
                      message.offset(), state_.bytes, task_));
    }
    if (message.data().empty()) return;
    first = state_.bytes == 0;
    state_.bytes += message.data().size();
    state_.last_bytes_at = now;
    hasher_.Update(message.data());
    NoteLines(message.data(), now);
  }
  if (first) changed_();
}

// Whole lines only; the rest waits for its end.
void LogReader::NoteLines(std::string_view data, MonoTime now) {
  while (true) {
    const std::size_t end = data.find('\n');
    line_ += data.substr(0, end);
    if (end == std::string_view::npos) return;
    if (const auto printed = StampOf(line_)) latencies_.push_back(now - *printed);
    line_.clear();
    data.remove_prefix(end + 1);
  }
}

}  // namespace slipway::bench
