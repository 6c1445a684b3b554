// The yardstick for archiving a tree: every file found, stated, read and hashed by THREADS threads,
// with nothing around it. Prints milliseconds, files and bytes.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "common/crypto/hash.h"
#include "common/fs/files.h"

namespace slipway {
namespace {

struct Totals {
  std::atomic<std::size_t> files{0};
  std::atomic<std::uint64_t> bytes{0};
};

void HashSome(const std::vector<std::string>& paths, std::atomic<std::size_t>& next,
              Totals& totals) {
  std::vector<char> buffer(256 * 1024);
  for (std::size_t i = next++; i < paths.size(); i = next++) {
    struct stat facts {};
    if (lstat(paths[i].c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    const fs::UniqueFd file(open(paths[i].c_str(), O_RDONLY | O_CLOEXEC));
    crypto::Sha256Hasher hasher;
    std::uint64_t size = 0;
    while (true) {
      const auto n = fs::ReadFull(file.get(), buffer, paths[i]);
      if (!n.ok()) std::exit(1);
      hasher.Update({buffer.data(), *n});
      size += *n;
      if (*n < buffer.size()) break;
    }
    static_cast<void>(hasher.Finish());
    ++totals.files;
    totals.bytes += size;
  }
}

void Run(const std::string& root, int threads) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_directory()) paths.push_back(entry.path().string());
  }
  std::atomic<std::size_t> next{0};
  Totals totals;
  {
    std::vector<std::jthread> pool;
    for (int i = 1; i < threads; ++i) {
      pool.emplace_back([&] { HashSome(paths, next, totals); });
    }
    HashSome(paths, next, totals);
  }
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{:.2f} {} {}\n", ms, totals.files.load(), totals.bytes.load());
}

}  // namespace
}  // namespace slipway

int main(int argc, char** argv) {
  if (argc != 3 || std::atoi(argv[2]) < 1) {
    fmt::print(stderr, "usage: walk_bench DIRECTORY THREADS\n");
    return 2;
  }
  slipway::Run(argv[1], std::atoi(argv[2]));
}
