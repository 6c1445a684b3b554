#include "controller/cli/follow.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/status/status.h"
#include "controller/cli/bounded_queue.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/log_cursor.h"

namespace slipway::cli {
namespace {

// A task that waits longer is explained, again and again.
constexpr auto kExplainEvery = std::chrono::seconds(3);
constexpr int kExplainTimeoutSeconds = 5;

// Answers in memory while the terminal is slow; a log answer has up to 1 MiB.
constexpr std::size_t kQueuedEvents = 16;

struct LogBytes {
  std::string task;
  std::string data;
  std::uint64_t skipped;
};
struct LogEnded {
  std::string task;
  absl::StatusOr<LogEnd> end;
};
struct Troubled {
  std::string stream;
  absl::Status status;
};
struct WatchEnded {
  absl::Status status;
};
using Event = std::variant<v1::WatchRunResponse, v1::ExplainTaskResponse, LogBytes, LogEnded,
                           Troubled, WatchEnded>;

// The threads that read the run's streams, and the loop that prints. Confined to one thread.
class RunFollower {
 public:
  RunFollower(const Client& client, std::string run, const RetryOptions& retry, FollowView& view,
              std::ostream& out)
      : client_(client),
        run_(std::move(run)),
        retry_(retry),
        view_(view),
        out_(out),
        interrupted_(client.stop(), Stop{*this}) {}

  ~RunFollower() {
    stop_.request_stop();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::StatusOr<v1::WatchRunResponse> Run() {
    threads_.emplace_back([this] { Watch(); });
    threads_.emplace_back([this] { Explain(); });
    while (!over_ || reading_ > 0) {
      const auto event = queue_.Pop(stop_.get_token());
      if (!event) return InterruptedError();
      SLIPWAY_RETURN_IF_ERROR(std::visit([this](const auto& e) { return Take(e); }, *event));
      out_.flush();
    }
    return last_;
  }

 private:
  struct Stop {
    RunFollower& follower;
    void operator()() const { follower.stop_.request_stop(); }
  };

  // On threads of their own.
  void Watch() {
    const absl::Status status = RetryStream(
        client_, retry_, stop_.get_token(),
        [this](const absl::Status& s) {
          Push(Troubled{"run", s});
        },
        [this](const std::function<void()>& received) {
          grpc::ClientContext context;
          client_.Prepare(context, 0);
          const std::stop_callback cancel(stop_.get_token(), [&] { context.TryCancel(); });
          v1::WatchRunRequest request;
          request.set_run(run_);
          const auto reader = client_.tasks().WatchRun(&context, request);
          v1::WatchRunResponse response;
          bool finished = false;
          while (reader->Read(&response)) {
            received();
            finished = response.finished();
            Push(std::move(response));
            response = {};
          }
          const grpc::Status end = reader->Finish();
          if (end.ok() && !finished) {
            return ControllerError(absl::UnavailableError("the stream ended early"));
          }
          return client_.Outcome(context, end);
        });
    Push(WatchEnded{status});
  }

  void Read(const std::string& task, std::int64_t attempt) {
    v1::ReadLogRequest request;
    request.set_task(task);
    request.set_attempt(attempt);
    request.set_follow(true);
    auto end = ReadLog(
        client_, request, retry_, stop_.get_token(),
        [&](const absl::Status& status) {
          Push(Troubled{task, status});
        },
        [&](const LogPiece& piece) {
          Push(LogBytes{task, std::string(piece.data), piece.skipped});
        });
    Push(LogEnded{task, std::move(end)});
  }

  // Asks why the queued tasks wait. Best effort: whoever cannot say is asked again.
  void Explain() {
    const std::stop_token stop = stop_.get_token();
    std::unique_lock lock(queued_mu_);
    while (!stop.stop_requested()) {
      explain_.wait_for(lock, stop, kExplainEvery, [] { return false; });
      for (const std::string& task : std::set<std::string>(queued_)) {
        lock.unlock();
        v1::ExplainTaskRequest request;
        request.set_id(task);
        v1::ExplainTaskResponse why;
        grpc::ClientContext context;
        client_.Prepare(context, kExplainTimeoutSeconds);
        const std::stop_callback cancel(stop, [&] { context.TryCancel(); });
        if (client_.tasks().ExplainTask(&context, request, &why).ok()) Push(std::move(why));
        lock.lock();
      }
    }
  }

  void Push(Event event) { queue_.Push(std::move(event), stop_.get_token()); }

  // On the printing thread.
  absl::Status Take(const v1::ExplainTaskResponse& why) {
    out_ << view_.Waits(why);
    return absl::OkStatus();
  }
  absl::Status Take(const v1::WatchRunResponse& run) {
    out_ << view_.Tasks(run);
    {
      const std::lock_guard lock(queued_mu_);
      queued_.clear();
      for (const v1::Task& task : run.tasks()) {
        if (task.state() == v1::TASK_STATE_QUEUED) queued_.insert(task.id());
      }
    }
    for (const v1::Task& task : run.tasks()) {
      if (task.attempt() == 0 || !begun_.insert({task.id(), task.attempt()}).second) continue;
      ++reading_;
      threads_.emplace_back(
          [this, id = task.id(), attempt = task.attempt()] { Read(id, attempt); });
    }
    last_ = run;
    return absl::OkStatus();
  }
  absl::Status Take(const LogBytes& log) {
    out_ << view_.Log(log.task, log.data, log.skipped);
    return absl::OkStatus();
  }
  absl::Status Take(const LogEnded& log) {
    --reading_;
    if (log.end.ok()) {
      out_ << view_.LogEnd(log.task, log.end->complete, log.end->missing);
      return absl::OkStatus();
    }
    // Damaged at the controller. What the run comes to is another matter.
    if (log.end.status().code() == absl::StatusCode::kDataLoss) {
      out_ << view_.LogDamaged(log.task, log.end.status());
      return absl::OkStatus();
    }
    // An attempt that no agent ever took up has no log.
    if (log.end.status().code() == absl::StatusCode::kNotFound) return absl::OkStatus();
    return log.end.status();
  }
  absl::Status Take(const Troubled& trouble) {
    out_ << view_.Trouble(trouble.stream, trouble.status);
    return absl::OkStatus();
  }
  absl::Status Take(const WatchEnded& end) {
    over_ = true;
    return end.status;
  }

  const Client& client_;
  const std::string run_;
  const RetryOptions retry_;
  FollowView& view_;
  std::ostream& out_;

  std::stop_source stop_;
  std::mutex queued_mu_;
  std::condition_variable_any explain_;
  std::set<std::string> queued_;  // guarded by queued_mu_
  BoundedQueue<Event> queue_{kQueuedEvents};
  // Of the printing thread.
  std::set<std::pair<std::string, std::int64_t>> begun_;  // (task, attempt)
  int reading_ = 0;
  bool over_ = false;
  v1::WatchRunResponse last_;
  std::vector<std::thread> threads_;
  // Last: it may fire as soon as it exists.
  const std::stop_callback<Stop> interrupted_;
};

}  // namespace

absl::StatusOr<v1::WatchRunResponse> FollowRun(const Client& client, const std::string& run,
                                               const RetryOptions& retry, FollowView& view,
                                               std::ostream& out) {
  RunFollower follower(client, run, retry, view, out);
  return follower.Run();
}

absl::StatusOr<LogEnd> ReadLog(const Client& client, const v1::ReadLogRequest& request,
                               const RetryOptions& retry, const std::stop_token& stop,
                               const TroubleSink& trouble,
                               const std::function<void(const LogPiece&)>& sink) {
  LogCursor cursor(request.attempt(), request.offset());
  LogEnd end;
  const absl::Status status =
      RetryStream(client, retry, stop, trouble, [&](const std::function<void()>& received) {
        grpc::ClientContext context;
        client.Prepare(context, 0);
        const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
        v1::ReadLogRequest again = request;
        again.set_attempt(cursor.attempt());
        again.set_offset(cursor.next());
        const auto reader = client.tasks().ReadLog(&context, again);
        v1::ReadLogResponse response;
        while (reader->Read(&response)) {
          received();
          const auto piece = cursor.Accept(response.attempt(), response.offset(), response.data());
          if (!piece.fresh.empty() || piece.restarted) {
            sink({piece.fresh, piece.skipped, piece.restarted, cursor.attempt()});
          }
          end.complete = response.complete();
          end.missing = response.missing();
        }
        return client.Outcome(context, reader->Finish());
      });
  SLIPWAY_RETURN_IF_ERROR(status);
  end.attempt = cursor.attempt();
  end.next = cursor.next();
  return end;
}

}  // namespace slipway::cli
