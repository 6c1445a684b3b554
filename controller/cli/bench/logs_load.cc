#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/bench/loads.h"
#include "controller/cli/bench/log_reader.h"
#include "controller/cli/bench/log_writer.h"
#include "controller/cli/bench/mock_farm.h"
#include "controller/cli/bench/process_cpu.h"
#include "controller/cli/exit_code.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kConnectPatience = 120s;
constexpr Duration kStallPatience = 60s;
constexpr Duration kLook = 20ms;
// Connections made at once; of too many some would not be there in time.
constexpr std::size_t kHandshakes = 50;

absl::StatusOr<std::vector<std::string>> SubmitLogs(const Bench& bench, const MockFarm& farm,
                                                    int count) {
  v1::SubmitRunsRequest request;
  for (int i = 0; i < count; ++i) {
    v1::SubmitRunRequest& run = *request.add_runs();
    run.set_request_id(fmt::format("{}-{}", farm.name(), i));
    run.set_application(farm.name());
    run.add_platforms("bench");
    run.set_ref("bench");
    run.mutable_requirements()->insert(farm.Requirements().begin(), farm.Requirements().end());
  }
  v1::SubmitRunsResponse response;
  SLIPWAY_RETURN_IF_ERROR(bench.client.Call(bench.client.tasks(),
                                            &v1::TaskService::Stub::SubmitRuns, request, response));
  std::vector<std::string> tasks;
  for (const v1::SubmittedRun& run : response.runs()) {
    if (run.has_error()) return rpc::FromCallError(run.error());
    tasks.push_back(run.run().tasks(0).id());
  }
  return tasks;
}

// All readers of a load.
class Audience {
 public:
  explicit Audience(const Bench& bench) : bench_(bench) {}

  absl::Status Follow(const std::string& task) {
    auto client = cli::Client::Make(bench_.options, bench_.text, bench_.client.stop());
    readers_.emplace_back(task, std::make_unique<LogReader>(std::move(client), task,
                                                            [this] { changed_.notify_all(); }));
    return absl::OkStatus();
  }

  // Until `ready` holds for each. kDeadlineExceeded when for `patience` not a byte came.
  template <typename Ready>
  absl::Status WaitFor(const LogWriters& writers, Duration patience, Ready ready) {
    std::uint64_t bytes = 0;
    MonoTime moved = clock_.Mono();
    while (true) {
      std::uint64_t now_bytes = 0;
      bool all = true;
      for (const auto& [task, reader] : readers_) {
        const LogReader::State state = reader->state();
        if (state.over) SLIPWAY_RETURN_IF_ERROR(state.status);
        all = all && ready(state);
        now_bytes += state.bytes;
      }
      if (all) return absl::OkStatus();
      SLIPWAY_RETURN_IF_ERROR(writers.status());
      if (bench_.client.stop().stop_requested()) return cli::InterruptedError();
      if (std::exchange(bytes, now_bytes) != now_bytes) moved = clock_.Mono();
      if (clock_.Mono() - moved > patience) {
        return absl::DeadlineExceededError(
            fmt::format("followers stand still after {} bytes in all", bytes));
      }
      std::unique_lock lock(mu_);
      changed_.wait_for(lock, kLook);
    }
  }

  [[nodiscard]] const auto& readers() const { return readers_; }

 private:
  const Bench& bench_;
  const SystemClock clock_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::pair<std::string, std::unique_ptr<LogReader>>> readers_;  // with their task
};

// Each follower has what was written, and the controller says so.
absl::Status CheckExact(const Audience& audience,
                        const std::map<std::string, LogWriter::State>& written) {
  for (const auto& [task, reader] : audience.readers()) {
    const LogReader::State read = reader->state();
    const auto log = written.find(task);
    if (log == written.end()) {
      return absl::InternalError(fmt::format("the log of {} ended before it was whole", task));
    }
    if (read.bytes != log->second.whole->size() ||
        rpc::ToProto(read.root) != log->second.whole->root()) {
      return absl::DataLossError(
          fmt::format("a follower of {} has {} bytes of SHA-256 {}; {} bytes were printed", task,
                      read.bytes, read.root.Hex(), log->second.whole->size()));
    }
    if (!read.complete) {
      return absl::DataLossError(fmt::format("the log of {} did not end as complete", task));
    }
  }
  return absl::OkStatus();
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Measured MeasureLogs(const Bench& bench, const LogsFlags& flags) {
  LogPlan plan{.bytes = flags.bytes};
  if (flags.lines_per_s > 0) {
    plan.lines = std::max(1, static_cast<int>(flags.lines_per_s * flags.seconds));
    plan.lines_per_s = flags.lines_per_s;
  }
  LogWriters writers(plan);
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto farm,
      MockFarm::Join(bench.client, bench.options,
                     {.agents = flags.logs,
                      .log = [&](v1::AgentService::Stub& stub, const v1::AttemptRef& ref,
                                 std::function<void()> again) {
                        return writers.LogOf(stub, ref, std::move(again));
                      }}));
  // Before the agents end, whose connections they use.
  const struct Stop {
    LogWriters& writers;
    ~Stop() { writers.Stop(); }
  } stop{writers};
  SLIPWAY_RETURN_IF_ERROR(farm->CreateApplication());
  farm->Connect();
  if (!farm->WaitForUp(flags.logs, kConnectPatience)) {
    if (bench.client.stop().stop_requested()) return cli::InterruptedError();
    return absl::DeadlineExceededError(
        fmt::format("only {} of {} mock agents are connected", farm->up(), flags.logs));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto tasks, SubmitLogs(bench, *farm, flags.logs));
  SLIPWAY_RETURN_IF_ERROR(writers.WaitOpen(bench.client, tasks.size(), kConnectPatience));
  Audience audience(bench);
  const auto all_see = [&] {
    return audience.WaitFor(writers, kConnectPatience, [](const auto& s) { return s.bytes > 0; });
  };
  for (int i = 0; i < flags.followers; ++i) {
    for (const std::string& task : tasks) {
      SLIPWAY_RETURN_IF_ERROR(audience.Follow(task));
      if (audience.readers().size() % kHandshakes == 0) SLIPWAY_RETURN_IF_ERROR(all_see());
    }
  }
  SLIPWAY_RETURN_IF_ERROR(all_see());
  bench.say(fmt::format(fmt::runtime(bench.text("{} logs have {} followers each; printing",
                                                "{} 份日志各有 {} 个查看者，开始输出")),
                        flags.logs, flags.followers));

  const SystemClock clock;
  std::optional<double> cpu;
  if (flags.controller_pid > 0) {
    SLIPWAY_ASSIGN_OR_RETURN(cpu, CpuSeconds(flags.controller_pid));
  }
  const MonoTime begin = clock.Mono();
  writers.Go();
  SLIPWAY_RETURN_IF_ERROR(
      audience.WaitFor(writers, kStallPatience, [](const auto& s) { return s.over; }));
  if (cpu) {
    SLIPWAY_ASSIGN_OR_RETURN(const double after, CpuSeconds(flags.controller_pid));
    cpu = after - *cpu;
  }
  const auto written = writers.whole();
  SLIPWAY_RETURN_IF_ERROR(CheckExact(audience, written));

  MonoTime stored = begin;
  MonoTime seen = begin;
  double bytes = 0;
  for (const auto& [task, log] : written) {
    bytes += static_cast<double>(log.whole->size());
    stored = std::max(stored, log.durable_at);
  }
  std::vector<Duration> lines;
  for (const auto& [task, reader] : audience.readers()) {
    seen = std::max(seen, reader->state().last_bytes_at);
    for (const Duration took : reader->TakeLatencies()) lines.push_back(took);
  }
  const cli::Text& t = bench.text;
  const double mb = bytes / 1e6;
  std::vector<Figure> figures = {
      {"logs", t("logs", "日志"), static_cast<double>(flags.logs), ""},
      {"followers", t("followers, each with every byte", "查看者（各自收到全部字节）"),
       static_cast<double>(audience.readers().size()), ""},
      {"mb", t("bytes of all logs", "日志总字节"), mb, "MB"}};
  if (plan.lines == 0) {
    figures.push_back({"stored_mb_per_s", t("to the controller's disk", "写入控制器磁盘"),
                       mb / Seconds(stored - begin), "MB/s"});
    figures.push_back({"seen_mb_per_s",
                       t("until the last follower has all", "直到最后一个查看者收齐"),
                       mb / Seconds(std::max(seen, stored) - begin), "MB/s"});
  } else {
    AddPercentiles(figures, "line", t("line printed → follower", "输出一行 → 查看者收到"), lines);
  }
  if (cpu) {
    figures.push_back({"controller_cpu_s", t("CPU of the controller", "控制器 CPU"), *cpu, "s"});
  }
  return figures;
}

}  // namespace slipway::bench
