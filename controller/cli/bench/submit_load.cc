#include "controller/cli/bench/submit_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/ids.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kCallSeconds = 60;
constexpr Duration kPace = 1ms;

}  // namespace

struct SubmitLoad::Call {
  grpc::ClientContext context;
  v1::SubmitRunsRequest request;
  v1::SubmitRunsResponse response;
  v1::SubmitRunResponse single;
  MonoTime asked;
};

SubmitLoad::SubmitLoad(const cli::Client& client, LoadOptions options)
    : client_(client), options_(std::move(options)), prefix_(NewId("bench-")) {}

SubmitLoad::~SubmitLoad() {
  pace_ = {};
  std::unique_lock lock(mu_);
  stopped_ = true;
  changed_.wait(lock, [this] { return callbacks_ == 0; });
}

void SubmitLoad::Start() {
  {
    const std::lock_guard lock(mu_);
    started_ = clock_.Mono();
  }
  Pump();
  if (options_.rate <= 0) return;
  pace_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      Pump();
      std::unique_lock lock(mu_);
      changed_.wait_for(lock, stop, kPace, [] { return false; });
    }
  });
}

bool SubmitLoad::MayBegin() const {
  if (stopped_ || !failed_.ok() || client_.stop().stop_requested()) return false;
  if (asked_ >= options_.tasks || under_way_ >= options_.calls) return false;
  if (asked_ - static_cast<int>(stored_) + options_.batch > options_.unfinished) return false;
  const double seconds = std::chrono::duration<double>(clock_.Mono() - started_).count();
  return options_.rate <= 0 || asked_ < options_.rate * seconds;
}

void SubmitLoad::Pump() {
  while (true) {
    auto call = std::make_unique<Call>();
    {
      const std::lock_guard lock(mu_);
      if (!MayBegin()) return;
      for (int i = 0; i < std::min(options_.batch, options_.tasks - asked_); ++i) {
        v1::SubmitRunRequest& run = *call->request.add_runs();
        run.set_request_id(fmt::format("{}-{}", prefix_, asked_ + i));
        run.set_application(options_.application);
        run.add_platforms("bench");
        run.set_ref("bench");
        run.mutable_requirements()->insert(options_.requirements.begin(),
                                           options_.requirements.end());
      }
      asked_ += call->request.runs_size();
      ++under_way_;
      ++callbacks_;
    }
    Begin(std::move(call));
  }
}

void SubmitLoad::Begin(std::unique_ptr<Call> call) {
  client_.Prepare(call->context, kCallSeconds);
  call->asked = clock_.Mono();
  Call* raw = call.release();
  auto answered = [this, raw](const grpc::Status& status) {
    const std::unique_ptr<Call> done(raw);
    Answered(*done, status);
    Pump();
    // Notified under the lock: whoever waits may destroy this next.
    const std::lock_guard lock(mu_);
    --callbacks_;
    changed_.notify_all();
  };
  if (options_.batch == 1) {
    client_.tasks().async()->SubmitRun(&raw->context, &raw->request.runs(0), &raw->single,
                                       std::move(answered));
  } else {
    client_.tasks().async()->SubmitRuns(&raw->context, &raw->request, &raw->response,
                                        std::move(answered));
  }
}

void SubmitLoad::Answered(Call& call, const grpc::Status& status) {
  const MonoTime now = clock_.Mono();
  const absl::Status outcome = client_.Outcome(call.context, status);
  const std::lock_guard lock(mu_);
  --under_way_;
  if (!outcome.ok() && failed_.ok()) failed_ = outcome;
  const auto note = [&](const v1::SubmitRunResponse& run) {
    for (const v1::Task& task : run.tasks()) {
      submitted_.emplace(task.id(), SubmitTimes{call.asked, now});
    }
  };
  note(call.single);
  for (const v1::SubmittedRun& run : call.response.runs()) {
    if (run.has_error() && failed_.ok()) failed_ = rpc::FromCallError(run.error());
    note(run.run());
  }
}

void SubmitLoad::Stored(std::size_t tasks) {
  {
    const std::lock_guard lock(mu_);
    stored_ += tasks;
    changed_.notify_all();
  }
  Pump();
}

absl::Status SubmitLoad::Wait(Duration patience) {
  std::unique_lock lock(mu_);
  const auto all_done = [this] {
    return stored_ >= static_cast<std::size_t>(options_.tasks) && callbacks_ == 0;
  };
  while (!all_done()) {
    const std::size_t before = stored_;
    const bool moved = changed_.wait_for(lock, client_.stop(), patience, [&] {
      return !failed_.ok() || stored_ != before || all_done();
    });
    if (!failed_.ok()) return failed_;
    if (client_.stop().stop_requested()) return cli::InterruptedError();
    if (!moved) {
      return MakeError(
          absl::StatusCode::kDeadlineExceeded, "",
          fmt::format("no task was finished for a while; {} of {} are", stored_, options_.tasks),
          "Look at one of them with `slipway tasks explain`.");
    }
  }
  return absl::OkStatus();
}

}  // namespace slipway::bench
