// The work tree of the next build against `git clone --depth 1`, and that of a commit already there
// against `git worktree add`, in one run, on a repository of 10,000 files with one new commit each
// round. Prints medians and ratios.
//   workspace_bench [rounds]

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "agent/workspace/work_trees.h"
#include "common/git/mirror_cache.h"
#include "common/git/trash.h"
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

  slipway::git::MirrorOptions options;
  options.work_dir = dir + "/work";
  options.allowed_schemes = {"file"};
  const auto mirrors = Take(slipway::git::MirrorCache::Create(options));
  const auto trees = Take(slipway::workspace::WorkTrees::Create(*mirrors, {}));
  const std::string at = dir + "/src";
  std::map<std::string, std::vector<double>> times;
  const auto timed = [&](const char* what, auto work) { times[what].push_back(Millis(work)); };
  std::string commit;
  const auto resolve = [&] { commit = Take(mirrors->Resolve(origin, "main")).commit; };
  const auto prepare = [&] { (void)Take(trees->Prepare(origin, commit, at)); };
  const auto restored = [&] {
    if (!trees->WaitUntilRestored(std::chrono::minutes(1))) Die("a tree is not put right");
  };
  const auto use = [&] {
    // What a build leaves: output, and a changed file.
    for (int i = 0; i < 200; ++i) Write(fmt::format("{}/dist/out{}.js", at, i), "built");
    Write(at + "/d1/e1/f1.txt", "changed by the build");
  };
  int changes = 0;
  const auto push = [&] {
    ++changes;
    Write(fmt::format("{}/d3/e3/f{}.txt", origin, changes % 100), fmt::format("{}\n", changes));
    Git(origin, {"commit", "-q", "-a", "-m", "one"});
  };
  timed("first", [&] {
    resolve();
    prepare();
  });
  for (int round = 0; round < rounds; ++round) {
    use();
    timed("return", [&] { (void)trees->Return(at); });
    timed("restore", restored);
    push();
    timed("resolve", resolve);
    timed("next", prepare);
    timed("clone", [&] {
      Git(dir, {"clone", "-q", "--depth", "1", "file://" + origin,
                fmt::format("{}/clone{}", dir, round)});
    });
    use();
    (void)trees->Return(at);
    restored();
    timed("pristine", prepare);
    timed("worktree", [&] {
      Git(origin,
          {"worktree", "add", "-f", "--detach", fmt::format("{}/tree{}", dir, round), commit});
    });
    // Nobody has had time to put it right.
    use();
    push();
    resolve();
    timed("at once", [&] {
      (void)trees->Return(at);
      prepare();
    });
  }
  const auto median = [&](const char* what) { return Median(times[what]); };
  const double next = median("resolve") + median("next");
  fmt::print(
      "10,000 files, {} rounds, medians\n"
      "  first fetch + checkout            {:8.1f} ms\n"
      "  git clone --depth 1               {:8.1f} ms\n"
      "  next build: fetch + kept tree     {:8.1f} ms   {:.3f} x clone\n"
      "    git fetch                       {:8.1f} ms\n"
      "    work tree                       {:8.1f} ms\n"
      "    work tree, not yet put right    {:8.1f} ms\n"
      "  git worktree add                  {:8.1f} ms\n"
      "  pristine tree of the same commit  {:8.2f} ms   {:.4f} x worktree add\n"
      "  giving the tree back              {:8.2f} ms\n"
      "  putting it right, behind          {:8.1f} ms\n",
      rounds, median("first"), median("clone"), next, next / median("clone"), median("resolve"),
      median("next"), median("at once"), median("worktree"), median("pristine"),
      median("pristine") / median("worktree"), median("return"), median("restore"));
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
