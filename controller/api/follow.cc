#include "controller/api/follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/api/follow_stream.h"
#include "controller/api/guard.h"
#include "controller/api/log_message.h"

namespace slipway::api {
namespace {

// Of one ReadLogResponse from the disk. Larger saves messages; a reader that stands still holds
// one.
constexpr std::size_t kLogSlice = std::size_t{128} << 10;

bool IsFinished(const v1::Task& task) {
  return task.state() >= v1::TASK_STATE_SUCCEEDED && task.state() <= v1::TASK_STATE_UNKNOWN;
}

class RunFollower final : public FollowStream<v1::WatchRunResponse> {
 public:
  RunFollower(grpc::CallbackServerContext& context, const Deps& deps, v1::WatchRunRequest request)
      : FollowStream(context, deps.pool, deps.streams), deps_(deps), request_(std::move(request)) {}

 private:
  Then Next(v1::WatchRunResponse& response, absl::Status& status) override {
    if (finished_) return Then::kFinish;
    status = Prepare();
    if (!status.ok()) return Then::kFinish;
    // As it is now: its rights may be others than when it began.
    const auto caller = deps_.auth.access().Again(*caller_);
    if (!caller.ok()) {
      status = caller.status();
      return Then::kFinish;
    }
    auto tasks = DescribeRun(deps_, *caller, RunId(request_.run()));
    if (!tasks.ok()) {
      status = tasks.status();
      return Then::kFinish;
    }
    finished_ = std::all_of(tasks->begin(), tasks->end(), IsFinished);
    for (auto& task : *tasks) *response.add_tasks() = std::move(task);
    response.set_finished(finished_);
    // Rows change in ways that show nothing new, an offer's deadline for one.
    std::string bytes = response.SerializeAsString();
    if (bytes == last_ && !finished_) return Then::kWait;
    last_ = std::move(bytes);
    return Then::kWrite;
  }

  absl::Status Prepare() {
    if (subscription_) return absl::OkStatus();
    const RunId id(request_.run());
    SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context()));
    caller_ = caller;
    SLIPWAY_ASSIGN_OR_RETURN(const auto run, FindRun(deps_, caller, id));
    SLIPWAY_RETURN_IF_ERROR(EndUnless(deps_.rights, SeesStill(deps_, caller, run.application)));
    SLIPWAY_ASSIGN_OR_RETURN(const auto tasks, deps_.reader.TasksOfRun(id));
    std::vector<TaskId> ids;
    for (const auto& task : tasks) ids.push_back(task.id);
    subscription_ = deps_.watch.Subscribe(ids, [stream = weak()] {
      if (const auto self = stream.lock()) self->Wake();
    });
    return absl::OkStatus();
  }

  void Unsubscribe() override { subscription_.reset(); }

  const Deps deps_;
  const v1::WatchRunRequest request_;
  std::optional<access::Caller> caller_;
  std::shared_ptr<void> subscription_;
  std::string last_;
  bool finished_ = false;
};

// Live bytes come from the log's tail, on the thread that woke us; older ones, and whatever is not
// just bytes, on the pool.
class LogFollower final : public FollowStream<grpc::ByteBuffer> {
 public:
  LogFollower(grpc::CallbackServerContext& context, const Deps& deps, grpc::ByteBuffer request)
      : FollowStream(context, deps.pool, deps.streams),
        deps_(deps),
        received_(std::move(request)) {}

 private:
  std::optional<Then> NextNow(grpc::ByteBuffer& response, bool woken) override {
    if (!growth_ || finished_ || over_ || task_changed_) return std::nullopt;
    // What came since is announced by a wake, for many lines at once.
    if (caught_up_ && !woken) return Then::kWait;
    auto piece = growth_->ReadTail(offset_);
    caught_up_ = piece && piece->last;
    if (!piece) return std::nullopt;
    if (piece->data.empty()) return Then::kWait;
    response = ToMessage(offset_, key_.attempt, piece->data, std::move(piece->owner));
    offset_ += piece->data.size();
    return Then::kWrite;
  }

  Then Next(grpc::ByteBuffer& response, absl::Status& status) override {
    if (finished_) return Then::kFinish;
    caught_up_ = false;
    auto then = Advance(response);
    if (then.ok()) return *then;
    status = then.status();
    return Then::kFinish;
  }

  absl::Status Begin() {
    SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context()));
    SLIPWAY_ASSIGN_OR_RETURN(request_, ParseReadLogRequest(received_));
    received_.Clear();
    SLIPWAY_ASSIGN_OR_RETURN(const auto seen, FindTask(deps_, caller, TaskId(request_.task())));
    SLIPWAY_RETURN_IF_ERROR(
        EndUnless(deps_.rights, SeesStill(deps_, caller, seen.task.application)));
    if (request_.attempt() < 0) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD", "attempt: below 0",
                       "Count from 1; 0 or none means the newest.");
    }
    offset_ = request_.offset();
    key_ = {TaskId(request_.task()), Attempt(request_.attempt())};
    return absl::OkStatus();
  }

  absl::StatusOr<Then> Advance(grpc::ByteBuffer& response) {
    if (!watched_) {
      SLIPWAY_RETURN_IF_ERROR(Begin());
      watched_ = deps_.watch.Subscribe({key_.task}, [this, stream = weak()] {
        if (const auto self = stream.lock()) {
          task_changed_ = true;
          self->Wake();
        }
      });
    }
    SLIPWAY_RETURN_IF_ERROR(ReadTask());
    if (key_.attempt == Attempt(0)) {
      if (!over_ && request_.follow()) return Then::kWait;
      return Last(response, over_, 0);
    }
    if (!growth_ && request_.follow()) {
      growth_ = deps_.logs.Follow(key_, [stream = weak()] {
        if (const auto self = stream.lock()) self->Wake();
      });
    }
    SLIPWAY_ASSIGN_OR_RETURN(auto slice, deps_.logs.Read(key_, offset_, kLogSlice));
    if (!slice.data.empty()) {
      const auto data = std::make_shared<const std::string>(std::move(slice.data));
      response = ToMessage(offset_, key_.attempt, *data, data);
      offset_ += data->size();
      return Then::kWrite;
    }
    // Whoever follows the task, not one attempt, waits for the attempt that comes after a retry.
    const bool another = request_.follow() && request_.attempt() == 0 && !over_;
    if (slice.seal && another) return Then::kWait;
    SLIPWAY_RETURN_IF_ERROR(CheckRoot());
    if (slice.seal) return Last(response, slice.seal->complete, slice.seal->missing);
    // The row says that the log is whole a moment before the log's own seal does.
    if (over_ && summary_) {
      const bool whole = summary_->size == offset_ && !summary_->root.IsZero();
      return Last(response, whole, summary_->missing);
    }
    if (over_ || !request_.follow()) return Last(response, false, 0);
    return Then::kWait;
  }

  // Looks at the row only when it may have changed; the log wakes us far more often.
  absl::Status ReadTask() {
    if (!task_changed_.exchange(false)) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps_.reader.GetTask(key_.task));
    const Attempt newest = found.task.attempt;
    if (request_.attempt() > newest.value()) {
      return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_ATTEMPT",
                       fmt::format("task {} has no attempt {}; its newest is {}", key_.task.value(),
                                   request_.attempt(), newest.value()));
    }
    if (request_.attempt() == 0 && newest != key_.attempt) {
      // Started again on another agent: the newest log is the one to follow, from its beginning.
      if (key_.attempt != Attempt(0)) offset_ = 0;
      key_.attempt = newest;
      growth_.reset();
    }
    // Of an unknown publish nobody knows whether more will come, so nobody waits for it.
    over_ = domain::IsTerminal(found.task.state) ||
            found.task.state == domain::TaskState::kUnknown || newest > key_.attempt;
    if (over_ && newest == key_.attempt && found.task.result) {
      summary_ = found.task.result->log;
    }
    return absl::OkStatus();
  }

  // The row of an attempt whose log came whole and is not what the agent hashed has no root.
  [[nodiscard]] absl::Status CheckRoot() const {
    if (!summary_ || !summary_->root.IsZero() || summary_->missing > 0 || summary_->size == 0 ||
        summary_->size != offset_) {
      return absl::OkStatus();
    }
    return MakeError(absl::StatusCode::kDataLoss, "LOG_DAMAGED",
                     "the log is not what the agent sent: somewhere in it bytes differ");
  }

  Then Last(grpc::ByteBuffer& response, bool complete, std::uint64_t missing) {
    finished_ = true;
    v1::ReadLogResponse last;
    last.set_offset(offset_);
    last.set_attempt(key_.attempt.value());
    last.set_complete(complete);
    last.set_missing(missing);
    response = ToMessage(last);
    return Then::kWrite;
  }

  void Unsubscribe() override {
    watched_.reset();
    growth_.reset();
  }

  const Deps deps_;
  grpc::ByteBuffer received_;  // until request_ is made of it
  v1::ReadLogRequest request_;
  std::uint64_t offset_ = 0;
  AttemptKey key_;
  std::shared_ptr<void> watched_;
  std::unique_ptr<logs::LogFollow> growth_;
  bool caught_up_ = false;  // the last look found the end of the tail
  std::atomic<bool> task_changed_{true};
  bool over_ = false;                            // no more bytes will come
  std::optional<protocol::LogSummary> summary_;  // of an attempt that reported
  bool finished_ = false;
};

template <typename Follower, typename Request>
auto* Begin(grpc::CallbackServerContext& context, const Deps& deps, const Request& request) {
  auto follower = std::make_shared<Follower>(context, deps, request);
  follower->Start(follower);
  return follower.get();
}

}  // namespace

grpc::ServerWriteReactor<v1::WatchRunResponse>* NewRunFollower(grpc::CallbackServerContext& context,
                                                               const Deps& deps,
                                                               const v1::WatchRunRequest& request) {
  return Begin<RunFollower>(context, deps, request);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* NewLogFollower(grpc::CallbackServerContext& context,
                                                           const Deps& deps,
                                                           const grpc::ByteBuffer& request) {
  return Begin<LogFollower>(context, deps, request);
}

}  // namespace slipway::api
