#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "common/base/ids.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/bench/first_output.h"
#include "controller/cli/bench/loads.h"
#include "controller/cli/commands.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/follow.h"

namespace slipway::bench {
namespace {

// A build as its follower saw it, and as the controller noted it.
struct Build {
  MonoTime asked;
  MonoTime answered;
  std::optional<MonoTime> output;  // when the first byte of its own was here
  MonoTime ended;                  // when its result was here
  v1::Task task;
};

// Submits builds over the client's one channel and follows each as a person would: the run's tasks
// on one stream, the log on another. Confined to one thread; its workers are its own.
class BuildsLoad {
 public:
  // `what`: every build's submit, but for its id. Both must outlive the load, as the client.
  BuildsLoad(const Bench& bench, const BuildsFlags& flags, const v1::SubmitRunRequest& what)
      : client_(bench.client),
        flags_(flags),
        what_(what),
        interrupted_(client_.stop(), [this] { Stop(); }) {}

  // One after the other, or flags.at_once at a time. The first error ends it; what was submitted
  // goes on unwatched.
  absl::StatusOr<std::vector<Build>> Run(int builds) {
    const std::string prefix = NewId("bench-");
    std::atomic<int> next = 0;
    std::vector<Build> done;
    {
      std::vector<std::jthread> workers;
      for (int i = 0; i < std::min(flags_.at_once, builds); ++i) {
        workers.emplace_back([&] {
          for (int n = next++; n < builds && !stop_.stop_requested(); n = next++) {
            auto build = One(fmt::format("{}-{}", prefix, n));
            {
              const std::lock_guard lock(mu_);
              if (build.ok()) {
                done.push_back(*std::move(build));
              } else if (failed_.ok()) {
                failed_ = build.status();
              }
            }
            if (!build.ok()) return Stop();
            Pause();
          }
        });
      }
    }
    if (client_.stop().stop_requested()) return cli::InterruptedError();
    if (!failed_.ok()) return failed_;
    return done;
  }

 private:
  void Stop() { stop_.request_stop(); }

  void Pause() {
    std::unique_lock lock(mu_);
    pause_.wait_for(lock, stop_.get_token(), std::chrono::milliseconds(flags_.pause_ms),
                    [] { return false; });
  }

  absl::StatusOr<Build> One(const std::string& request_id) {
    v1::SubmitRunRequest request = what_;
    request.set_request_id(request_id);
    v1::SubmitRunResponse response;
    Build build;
    build.asked = clock_.Mono();
    SLIPWAY_RETURN_IF_ERROR(
        client_.Call(client_.tasks(), &v1::TaskService::Stub::SubmitRun, request, response));
    build.answered = clock_.Mono();
    absl::Status watched;
    {
      const std::jthread watcher([&] { watched = Watch(response.run(), build); });
      SLIPWAY_RETURN_IF_ERROR(ReadLog(response.tasks(0).id(), build.output));
    }
    SLIPWAY_RETURN_IF_ERROR(watched);
    return build;
  }

  absl::Status Watch(const std::string& run, Build& build) {
    v1::WatchRunResponse last;
    const absl::Status status = cli::RetryStream(
        client_, {}, stop_.get_token(), [](const absl::Status&) {},
        [&](const std::function<void()>& received) {
          grpc::ClientContext context;
          client_.Prepare(context, 0);
          const std::stop_callback cancel(stop_.get_token(), [&] { context.TryCancel(); });
          v1::WatchRunRequest request;
          request.set_run(run);
          const auto reader = client_.tasks().WatchRun(&context, request);
          while (reader->Read(&last)) {
            received();
            if (last.finished()) build.ended = clock_.Mono();
          }
          const grpc::Status end = reader->Finish();
          if (end.ok() && !last.finished()) {
            return cli::ControllerError(absl::UnavailableError("the stream ended early"));
          }
          return client_.Outcome(context, end);
        });
    SLIPWAY_RETURN_IF_ERROR(status);
    build.task = last.tasks(0);
    if (build.task.state() == v1::TASK_STATE_SUCCEEDED) return absl::OkStatus();
    const v1::Failure& failure = build.task.result().failure();
    return MakeError(absl::StatusCode::kFailedPrecondition, failure.reason(),
                     fmt::format("build {} did not succeed: {}", build.task.id(),
                                 failure.message().empty() ? v1::TaskState_Name(build.task.state())
                                                           : failure.message()),
                     fmt::format("Look at `slipway logs {}`.", build.task.id()));
  }

  absl::Status ReadLog(const std::string& task, std::optional<MonoTime>& output) {
    v1::ReadLogRequest request;
    request.set_task(task);
    request.set_follow(true);
    FirstOutput first;
    SLIPWAY_ASSIGN_OR_RETURN(const cli::LogEnd end, cli::ReadLog(
                                                        client_, request, {}, stop_.get_token(),
                                                        [](const absl::Status&) {},
                                                        [&](const cli::LogPiece& piece) {
                                                          if (piece.restarted) first = {};
                                                          if (first.Accept(piece.data) && !output)
                                                            output = clock_.Mono();
                                                        }));
    if (end.complete) return absl::OkStatus();
    return MakeError(absl::StatusCode::kDataLoss, "",
                     fmt::format("the log of {} ended before it was complete", task));
  }

  const cli::Client& client_;
  const BuildsFlags& flags_;
  const v1::SubmitRunRequest& what_;
  const SystemClock clock_;

  std::stop_source stop_;
  std::mutex mu_;
  std::condition_variable_any pause_;
  absl::Status failed_;  // guarded by mu_
  // Last: it may fire as soon as it exists.
  const std::stop_callback<std::function<void()>> interrupted_;
};

// How long each step took by the agent's clock, in the order of the steps.
std::vector<std::pair<std::string, std::vector<Duration>>> StepTimes(
    const std::vector<Build>& builds) {
  std::vector<std::pair<std::string, std::vector<Duration>>> steps;
  for (const Build& build : builds) {
    for (const v1::Step& step : build.task.steps()) {
      if (step.attempt() != build.task.attempt() || !step.has_finished_at()) continue;
      auto it = std::find_if(steps.begin(), steps.end(),
                             [&](const auto& known) { return known.first == step.name(); });
      if (it == steps.end()) it = steps.insert(it, {step.name(), {}});
      it->second.push_back(rpc::FromProto(step.finished_at()) - rpc::FromProto(step.started_at()));
    }
  }
  return steps;
}

std::vector<Figure> FiguresOf(const std::vector<Build>& builds, cli::Text t) {
  std::vector<Duration> answers;
  std::vector<Duration> outputs;
  std::vector<Duration> attempts;
  std::vector<Duration> results;
  MonoTime first = MonoTime::max();
  MonoTime last = MonoTime::min();
  for (const Build& build : builds) {
    answers.push_back(build.answered - build.asked);
    if (build.output) outputs.push_back(*build.output - build.asked);
    attempts.push_back(rpc::FromProto(build.task.finished_at()) -
                       rpc::FromProto(build.task.started_at()));
    results.push_back(build.ended - build.asked);
    first = std::min(first, build.asked);
    last = std::max(last, build.ended);
  }
  const double seconds = std::max(std::chrono::duration<double>(last - first).count(), 1e-9);
  std::vector<Figure> figures = {
      {"builds", t("builds", "构建"), static_cast<double>(builds.size()), ""},
      {"with_output", t("with output of their own", "有自身输出"),
       static_cast<double>(outputs.size()), ""},
      {"builds_per_s", t("builds from submit to result", "构建（提交到结果）"),
       static_cast<double>(builds.size()) / seconds, t("builds/s", "个/秒")}};
  AddPercentiles(figures, "submit", t("submit → answer", "提交 → 应答"), answers);
  if (!outputs.empty()) {
    AddPercentiles(figures, "output",
                   t("submit → first output at the follower", "提交 → 跟随者收到首个输出"),
                   outputs);
  }
  AddPercentiles(figures, "result", t("submit → result at the follower", "提交 → 跟随者收到结果"),
                 results);
  AddPercentiles(figures, "attempt", t("attempt started → result stored", "开始执行 → 结果入库"),
                 attempts);
  for (const auto& [name, times] : StepTimes(builds)) {
    AddPercentiles(figures, "step_" + name,
                   fmt::format(fmt::runtime(t("step {}", "步骤 {}")), name), times);
  }
  return figures;
}

}  // namespace

Measured MeasureBuilds(const Bench& bench, const BuildsFlags& flags) {
  v1::SubmitRunRequest what;
  what.set_application(flags.application);
  what.add_platforms(flags.platform);
  what.set_ref(flags.ref);
  what.set_no_cache(!flags.hot_cache);
  SLIPWAY_RETURN_IF_ERROR(cli::ReadLabels(flags.require, bench.text, *what.mutable_requirements()));
  BuildsLoad load(bench, flags, what);
  if (flags.warm_up > 0) {
    bench.say(
        fmt::format(fmt::runtime(bench.text("builds that do not count: {}", "不计入的构建：{}")),
                    flags.warm_up));
    SLIPWAY_RETURN_IF_ERROR(load.Run(flags.warm_up).status());
  }
  bench.say(
      fmt::format(fmt::runtime(bench.text("builds: {}, {} at a time", "构建：{} 个，同时 {} 个")),
                  flags.builds, std::min(flags.at_once, flags.builds)));
  SLIPWAY_ASSIGN_OR_RETURN(const std::vector<Build> builds, load.Run(flags.builds));
  return FiguresOf(builds, bench.text);
}

}  // namespace slipway::bench
