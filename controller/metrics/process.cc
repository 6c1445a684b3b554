#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "common/fs/unique_fd.h"
#include "controller/metrics/registry.h"

namespace slipway::metrics {
namespace {

// Of /proc; empty when it cannot be read.
std::string ReadProc(const char* path) {
  const fs::UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> bytes{};
  const ssize_t size = fd.valid() ? read(fd.get(), bytes.data(), bytes.size()) : 0;
  return {bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// The field of /proc/<pid>/stat by its number in proc(5). The name before field 3 may hold blanks.
double StatField(std::string_view stat, int number) {
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return 0;
  stat.remove_prefix(std::min(name_end + 2, stat.size()));
  for (int i = 3; i < number; ++i) {
    const std::size_t blank = stat.find(' ');
    if (blank == std::string_view::npos) return 0;
    stat.remove_prefix(blank + 1);
  }
  std::uint64_t value = 0;
  std::from_chars(stat.data(), stat.data() + stat.size(), value);
  return static_cast<double>(value);
}

double OwnStat(int field) { return StatField(ReadProc("/proc/self/stat"), field); }

double Ticks() { return static_cast<double>(sysconf(_SC_CLK_TCK)); }

// "btime" of /proc/stat, which stands behind a line per processor.
double BootTime() {
  const fs::UniqueFd fd(open("/proc/stat", O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> bytes{};
  while (fd.valid()) {
    const ssize_t size = read(fd.get(), bytes.data(), bytes.size());
    if (size <= 0) break;
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  constexpr std::string_view kName = "\nbtime ";
  const std::size_t at = text.find(kName);
  std::uint64_t seconds = 0;
  if (at != std::string::npos) {
    const char* const begin = text.data() + at + kName.size();
    std::from_chars(begin, text.data() + text.size(), seconds);
  }
  return static_cast<double>(seconds);
}

double OpenFiles() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = 0;
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(folder);
  return count - 1;  // without the folder itself
}

}  // namespace

std::vector<std::shared_ptr<void>> AddProcess(Registry& registry) {
  std::vector<std::shared_ptr<void>> handles;
  const auto add = [&](const char* name, const char* help, Kind kind, double (*read)()) {
    handles.push_back(registry.AddSampled(name, help, kind, [read] {
      return std::vector{Sample{{}, read()}};
    }));
  };
  add("process_resident_memory_bytes", "Resident memory.", Kind::kGauge,
      [] { return OwnStat(24) * static_cast<double>(sysconf(_SC_PAGESIZE)); });
  add("process_virtual_memory_bytes", "Virtual memory.", Kind::kGauge, [] { return OwnStat(23); });
  add("process_cpu_seconds_total", "Processor time, user and system.", Kind::kCounter, [] {
    const std::string stat = ReadProc("/proc/self/stat");
    return (StatField(stat, 14) + StatField(stat, 15)) / Ticks();
  });
  add("process_threads", "Threads.", Kind::kGauge, [] { return OwnStat(20); });
  add("process_open_fds", "Open file descriptors.", Kind::kGauge, OpenFiles);
  add("process_start_time_seconds", "When the process began, Unix time.", Kind::kGauge,
      [] { return BootTime() + OwnStat(22) / Ticks(); });
  return handles;
}

}  // namespace slipway::metrics
