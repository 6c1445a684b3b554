#include "tests/sim/play.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"

namespace slipway::sim {
namespace {

void Add(Summary& sum, const World& world) {
  ++sum.seeds;
  sum.steps += world.steps();
  sum.crash_points.Merge(world.crash_points);
  for (std::size_t i = 0; i < sum.cases.size(); ++i) sum.cases[i] += world.oracles.cases()[i];
  for (std::size_t i = 0; i < sum.doubts.size(); ++i) {
    for (std::size_t stored = 0; stored < 2; ++stored) {
      sum.doubts[i][stored] += world.doubts[i][stored];
    }
  }
  for (const auto& [id, task] : world.store.tasks()) {
    ++sum.endings[task.state];
    if (task.result && task.result->failure) ++sum.failures[task.result->failure->klass];
    if (task.kind == domain::TaskKind::kPreview && task.state == domain::TaskState::kSucceeded) {
      ++sum.previews;
      if (world.store.Starts(id) > 1) ++sum.previews_again;
    }
  }
  sum.releases += world.store.releases().size();
}

}  // namespace

Summary PlaySeeds(std::uint64_t first, std::uint64_t last, unsigned jobs,
                  const ScenarioFor& scenario_for, std::uint64_t max_steps) {
  Summary sum;
  std::mutex mu;
  std::atomic<std::uint64_t> next = first;
  std::atomic<bool> stop = false;
  const auto work = [&] {
    while (!stop) {
      const std::uint64_t seed = next++;
      if (seed > last) return;
      World world(scenario_for(seed), {.max_steps = max_steps});
      std::string violation = world.Play();
      const std::lock_guard lock(mu);
      Add(sum, world);
      if (violation.empty()) continue;
      stop = true;
      if (!sum.failure || seed < sum.failure->seed) sum.failure = {seed, std::move(violation)};
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return sum;
}

std::string TellStory(const Scenario& scenario, std::size_t lines, std::uint64_t max_steps) {
  World world(scenario, {.keep_trace = true, .max_steps = max_steps});
  const std::string violation = world.Play();
  const std::vector<std::string>& trace = world.trace();
  const std::size_t from = lines == 0 || trace.size() <= lines ? 0 : trace.size() - lines;
  std::string story;
  if (from > 0) story += "... " + std::to_string(from) + " lines before\n";
  for (std::size_t i = from; i < trace.size(); ++i) story += trace[i] + "\n";
  return story + (violation.empty() ? "every check held" : violation) + "\n";
}

}  // namespace slipway::sim
