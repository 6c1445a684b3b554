#include <fmt/format.h>

#include <chrono>

#include "common/status/status.h"
#include "controller/cli/bench/loads.h"
#include "controller/cli/bench/mock_farm.h"
#include "controller/cli/exit_code.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kConnectPatience = 5min;
constexpr Duration kRestartPatience = 10min;
constexpr Duration kLook = 10ms;

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

absl::Status NotUp(MockFarm& farm, const cli::Client& client, int wanted) {
  if (client.stop().stop_requested()) return cli::InterruptedError();
  return absl::DeadlineExceededError(
      fmt::format("only {} of {} mock agents are connected", farm.up(), wanted));
}

}  // namespace

Measured MeasureAgents(const Bench& bench, const AgentsFlags& flags) {
  const cli::Text& t = bench.text;
  const SystemClock clock;
  bench.say(
      fmt::format(fmt::runtime(t("{} mock agents join", "{} 个模拟代理正在加入")), flags.agents));
  const MonoTime begin = clock.Mono();
  SLIPWAY_ASSIGN_OR_RETURN(const auto farm,
                           MockFarm::Join(bench.client, bench.options, {.agents = flags.agents}));
  const MonoTime joined = clock.Mono();
  farm->Connect();
  if (!farm->WaitForUp(flags.agents, kConnectPatience)) {
    return NotUp(*farm, bench.client, flags.agents);
  }
  const MonoTime up = clock.Mono();
  std::vector<Figure> figures = {
      {"agents", t("agents connected", "已连接的代理"), static_cast<double>(flags.agents), ""},
      {"join_s", t("joined within", "加入用时"), Seconds(joined - begin), "s"},
      {"connect_s", t("connected within", "连接用时"), Seconds(up - joined), "s"}};
  bench.say(fmt::format(fmt::runtime(t("connected; idle for {} s", "已连接，空闲 {} 秒")),
                        flags.idle_seconds));
  // More than there are: only Ctrl-C ends this earlier.
  (void)farm->WaitForUp(flags.agents + 1, std::chrono::seconds(flags.idle_seconds));
  if (bench.client.stop().stop_requested()) return cli::InterruptedError();
  figures.push_back({"up_after_idle", t("connected after that", "之后仍连接"),
                     static_cast<double>(farm->up()), ""});
  if (!flags.restart) return figures;
  bench.say(t("restart the controller now", "现在请重启控制器"));
  const MonoTime asked = clock.Mono();
  MonoTime gone = asked;
  while (farm->up() > 0) {
    (void)farm->WaitForUp(flags.agents + 1, kLook);
    if (bench.client.stop().stop_requested()) return cli::InterruptedError();
    gone = clock.Mono();
    if (gone - asked > kRestartPatience) {
      return absl::DeadlineExceededError("the controller was not restarted");
    }
  }
  if (!farm->WaitForUp(1, kRestartPatience)) return NotUp(*farm, bench.client, flags.agents);
  const MonoTime first = clock.Mono();
  if (!farm->WaitForUp(flags.agents, kRestartPatience)) {
    return NotUp(*farm, bench.client, flags.agents);
  }
  bench.say(t("all are back", "全部已恢复"));
  figures.push_back({"away_s", t("controller away for", "控制器离线"), Seconds(first - gone), "s"});
  figures.push_back({"back_s",
                     t("from the first agent that is back to the last", "从首个代理恢复到全部恢复"),
                     Seconds(clock.Mono() - first), "s"});
  return figures;
}

}  // namespace slipway::bench
