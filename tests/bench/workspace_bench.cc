// The work tree of the next build against `git clone --depth 1`, in one run, on a repository of
// 10,000 files with one new commit each round. Prints medians and the ratio.
//   workspace_bench [rounds]

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "agent/workspace/mirror_cache.h"
#include "agent/workspace/trash.h"
#include "agent/workspace/work_trees.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

[[noreturn]] void Die(const std::string& what) {
  fmt::print(stderr, "workspace_bench: {}\n", what);
  std::exit(1);
}

std::string Git(const std::string& cwd, std::vector<std::string> arguments) {
  slipway::process::Command command;
  command.argv = {"git"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.cwd = cwd;
  command.env = {{"PATH", "/usr/bin:/bin"},          {"GIT_CONFIG_NOSYSTEM", "1"},
                 {"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_AUTHOR_NAME", "A"},
                 {"GIT_AUTHOR_EMAIL", "a@x"},        {"GIT_COMMITTER_NAME", "C"},
                 {"GIT_COMMITTER_EMAIL", "c@x"}};
  const auto result = slipway::process::Run(command);
  if (!result.ok()) Die(std::string(result.status().message()));
  if (!result->Succeeded()) Die(result->err);
  std::string out = result->out;
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

void Write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::trunc) << text;
}

template <typename Work>
double Millis(Work work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <typename T>
T Take(absl::StatusOr<T> value) {
  if (!value.ok()) Die(slipway::Describe(value.status()));
  return *std::move(value);
}

void Bench(const std::string& dir, int rounds) {
  const std::string origin = dir + "/origin";
  fs::create_directories(origin);
  Git(origin, {"init", "-q", "-b", "main"});
  for (int i = 0; i < 10'000; ++i) {
    std::string text = fmt::format("page {}\n", i);
    while (text.size() < 4096) text += fmt::format("{} ", i * 7919 + static_cast<int>(text.size()));
    Write(fmt::format("{}/d{}/e{}/f{}.txt", origin, i / 1000, i / 100 % 10, i % 100), text);
  }
  Git(origin, {"add", "-A"});
  Git(origin, {"commit", "-q", "-m", "all"});

  slipway::workspace::MirrorOptions options;
  options.work_dir = dir + "/work";
  options.allowed_schemes = {"file"};
  const auto mirrors = Take(slipway::workspace::MirrorCache::Create(options));
  const auto trees = Take(slipway::workspace::WorkTrees::Create(*mirrors, {}));
  const std::string at = dir + "/src";
  const auto build = [&] {
    const auto ref = Take(mirrors->Resolve(origin, "main"));
    return Take(trees->Prepare(origin, ref.commit, at));
  };
  const double first = Millis(build);

  std::vector<double> next;
  std::vector<double> clone;
  std::vector<double> give_back;
  for (int round = 0; round < rounds; ++round) {
    // What a build leaves: output, and a changed file.
    for (int i = 0; i < 200; ++i) Write(fmt::format("{}/dist/out{}.js", at, i), "built");
    Write(at + "/d1/e1/f1.txt", "changed by the build");
    give_back.push_back(Millis([&] { (void)trees->Return(at); }));
    Write(fmt::format("{}/d3/e3/f{}.txt", origin, round % 100), fmt::format("round {}\n", round));
    Git(origin, {"commit", "-q", "-a", "-m", "one"});
    next.push_back(Millis(build));
    const std::string fresh = fmt::format("{}/clone{}", dir, round);
    clone.push_back(Millis([&] {
      Git(dir, {"clone", "-q", "--depth", "1", "file://" + origin, fresh});
    }));
  }
  fmt::print(
      "10,000 files, {} rounds, medians\n"
      "  first fetch + checkout            {:8.1f} ms\n"
      "  git clone --depth 1               {:8.1f} ms\n"
      "  next build: fetch + kept tree     {:8.1f} ms   {:.3f} x clone\n"
      "  giving the tree back              {:8.2f} ms\n",
      rounds, first, Median(clone), Median(next), Median(next) / Median(clone), Median(give_back));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  std::string dir = (fs::temp_directory_path() / "slipway-bench-XXXXXX").string();
  if (mkdtemp(dir.data()) == nullptr) Die("cannot make a directory");
  Bench(dir, rounds);
  std::error_code ignored;
  fs::remove_all(dir, ignored);
}
