#include "common/git/trash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stop_token>
#include <vector>

#include "common/base/ids.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace slipway::git {

absl::StatusOr<std::unique_ptr<Trash>> Trash::Create(std::string dir, Duration delay) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return ErrnoError(error.value(), "cannot make " + dir);
  if (chmod(dir.c_str(), 0700) != 0) return ErrnoError(errno, "cannot protect " + dir);
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return ErrnoError(errno, "cannot open " + dir);
  return std::unique_ptr<Trash>(new Trash(std::move(dir), fd, delay));
}

Trash::Trash(std::string dir, int dir_fd, Duration delay)
    : dir_(std::move(dir)),
      dir_fd_(dir_fd),
      delay_(delay),
      worker_([this](const std::stop_token& stop) { Work(stop); }) {}

Trash::~Trash() {
  worker_.request_stop();
  worker_.join();
}

absl::Status Trash::Put(const std::string& path) { return PutAt(AT_FDCWD, path); }

absl::Status Trash::PutAt(int dir_fd, const std::string& name) {
  // Unique over restarts too.
  static const std::string prefix = NewId("");
  const std::string grave = fmt::format("{}-{}", prefix, next_++);
  if (renameat(dir_fd, name.c_str(), dir_fd_.get(), grave.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoError(errno, "cannot move away " + name);
  }
  const std::lock_guard lock(mu_);
  ++puts_;
  dirty_ = true;
  changed_.notify_all();
  return absl::OkStatus();
}

bool Trash::WaitUntilEmpty(Duration timeout) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, timeout, [&] { return !dirty_; });
}

void Trash::Work(const std::stop_token& stop) {
  std::unique_lock lock(mu_);
  while (changed_.wait(lock, stop, [&] { return dirty_; })) {
    // Deleting while trees are being made slows both down.
    std::uint64_t seen = 0;
    do {
      seen = puts_;
      changed_.wait_for(lock, stop, delay_, [&] { return puts_ != seen; });
      if (stop.stop_requested()) return;
    } while (puts_ != seen);
    lock.unlock();
    std::vector<std::string> graves;
    std::error_code error;
    for (std::filesystem::directory_iterator it(dir_, error), end; !error && it != end;
         it.increment(error)) {
      graves.push_back(it->path().string());
    }
    for (std::size_t at = 0; at < graves.size() && !stop.stop_requested();) {
      // The program, because a hostile tree may be deeper than the number of files we can open.
      process::Command rm;
      rm.argv = {"nice", "-n", "19", "rm", "-rf", "--one-file-system", "--"};
      for (; at < graves.size() && rm.argv.size() < 200; ++at) rm.argv.push_back(graves[at]);
      rm.timeout = std::chrono::hours(1);
      rm.max_output = 1024;
      // What cannot be deleted now waits for the next Put or start.
      (void)process::Run(rm, stop);
    }
    lock.lock();
    dirty_ = puts_ != seen;
    changed_.notify_all();
  }
}

}  // namespace slipway::git
