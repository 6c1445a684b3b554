#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>

#include "common/status/status.h"
#include "controller/cli/bench/loads.h"
#include "controller/cli/bench/mock_farm.h"
#include "controller/cli/bench/submit_load.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kConnectPatience = 120s;
constexpr Duration kStallPatience = 30s;

}  // namespace

Measured MeasureTasks(const Bench& bench, const TasksFlags& flags) {
  std::mutex mu;
  SubmitLoad* load = nullptr;  // the one that runs
  SLIPWAY_ASSIGN_OR_RETURN(const auto farm,
                           MockFarm::Join(bench.client, bench.options,
                                          {.agents = flags.agents,
                                           .slots = static_cast<std::uint32_t>(flags.slots),
                                           .stored = [&](std::size_t attempts) {
                                             const std::lock_guard lock(mu);
                                             if (load != nullptr) load->Stored(attempts);
                                           }}));
  SLIPWAY_RETURN_IF_ERROR(farm->CreateApplication());
  farm->Connect();
  if (!farm->WaitForUp(flags.agents, kConnectPatience)) {
    return absl::DeadlineExceededError(
        fmt::format("only {} of {} mock agents are connected", farm->up(), flags.agents));
  }
  LoadOptions options{.application = farm->name(),
                      .requirements = farm->Requirements(),
                      .tasks = 1,
                      .calls = flags.calls,
                      .batch = 1,
                      .unfinished = flags.unfinished,
                      .rate = 0};
  const auto run = [&](const LoadOptions& what, auto then) -> absl::Status {
    SubmitLoad running(bench.client, what);
    {
      const std::lock_guard lock(mu);
      load = &running;
    }
    running.Start();
    const absl::Status status = running.Wait(kStallPatience);
    {
      const std::lock_guard lock(mu);
      load = nullptr;
    }
    if (status.ok()) then(running);
    return status;
  };
  // The product of all tasks is archived by the first.
  SLIPWAY_RETURN_IF_ERROR(run(options, [](const SubmitLoad&) {}));
  (void)farm->TakeTimes();
  bench.say(fmt::format(fmt::runtime(bench.text("{} agents are connected; submitting {} tasks",
                                                "{} 个代理已连接，正在提交 {} 个任务")),
                        flags.agents, flags.tasks));
  options.tasks = flags.tasks;
  options.batch = flags.batch;
  options.rate = flags.rate;
  std::vector<Figure> figures;
  SLIPWAY_RETURN_IF_ERROR(run(options, [&](const SubmitLoad& done) {
    std::vector<Duration> answers;
    std::vector<Duration> offers;
    std::vector<Duration> stored;
    MonoTime first = MonoTime::max();
    MonoTime last_answer = MonoTime::min();
    MonoTime last_stored = MonoTime::min();
    for (const AttemptTimes& attempt : farm->TakeTimes()) {
      const auto it = done.submitted().find(attempt.task);
      if (it == done.submitted().end()) continue;
      const SubmitTimes& submit = it->second;
      answers.push_back(submit.answered - submit.asked);
      offers.push_back(attempt.offered - submit.asked);
      stored.push_back(attempt.stored - submit.asked);
      first = std::min(first, submit.asked);
      last_answer = std::max(last_answer, submit.answered);
      last_stored = std::max(last_stored, attempt.stored);
    }
    const auto per_second = [&](MonoTime end) {
      return static_cast<double>(stored.size()) /
             std::max(std::chrono::duration<double>(end - first).count(), 1e-9);
    };
    const cli::Text& t = bench.text;
    figures.push_back({"tasks", t("tasks", "任务"), static_cast<double>(stored.size()), ""});
    figures.push_back({"submits_per_s", t("submits answered", "提交应答"), per_second(last_answer),
                       t("tasks/s", "个/秒")});
    figures.push_back({"tasks_per_s",
                       t("tasks from submit to stored result", "任务（提交到结果入库）"),
                       per_second(last_stored), t("tasks/s", "个/秒")});
    AddPercentiles(figures, "submit", t("submit → answer", "提交 → 应答"), answers);
    AddPercentiles(figures, "assign", t("submit → offer at an agent", "提交 → 代理收到"), offers);
    AddPercentiles(figures, "task", t("submit → result stored", "提交 → 结果入库"), stored);
  }));
  return figures;
}

}  // namespace slipway::bench
