#include "agent/init/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::init {
namespace {

constexpr std::int64_t kTimeGranularityUs = 10'000;

Problem OpenRegular(int dir_fd, const char* name, Fd* out, std::uint64_t* size) {
  Fd fd(openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return ErrnoProblem(name, errno);
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) return ErrnoProblem(name, errno);
  if (!S_ISREG(st.st_mode)) return std::string(name) + ": not a regular file";
  *size = static_cast<std::uint64_t>(st.st_size);
  *out = std::move(fd);
  return {};
}

void PutLittleEndian(std::uint64_t value, char* out) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

Problem Spool::Open(int dir_fd) {
  if (Problem p = OpenRegular(dir_fd, "log", &log_, &end_); !p.empty()) return p;
  if (Problem p = OpenRegular(dir_fd, "log.times", &times_, &times_end_); !p.empty()) return p;
  times_end_ -= times_end_ % 16;
  allocated_ = end_;
  return {};
}

bool Spool::Ready() {
  if (!backlog_.empty() && !FlushBacklog()) return false;
  if (!can_allocate_ || allocated_ >= end_ + kReserve) return true;
  if (allocated_ < end_) allocated_ = end_;
  // Twice the reserve, so that the next question comes a reserve later.
  const std::uint64_t until = end_ + 2 * kReserve;
  for (;;) {
    if (fallocate(log_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(allocated_),
                  static_cast<off_t>(until - allocated_)) == 0) {
      allocated_ = until;
      return true;
    }
    if (errno != EINTR) break;
  }
  if (errno == EOPNOTSUPP || errno == ENOSYS) {
    can_allocate_ = false;
    return true;
  }
  return false;
}

std::size_t Spool::Write(std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        pwrite(log_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(end_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
    end_ += static_cast<std::uint64_t>(n);
  }
  return done;
}

void Spool::Append(std::string_view bytes, std::int64_t unix_us) {
  if (bytes.empty()) return;
  if (backlog_.empty()) {
    RecordTime(unix_us);
    bytes.remove_prefix(Write(bytes));
  }
  backlog_.append(bytes);
}

bool Spool::FlushBacklog() {
  if (backlog_.empty()) return true;
  backlog_.erase(0, Write(backlog_));
  return backlog_.empty();
}

void Spool::RecordTime(std::int64_t unix_us) {
  // A wall clock set back starts a new record rather than silence.
  if (unix_us >= last_time_us_ && unix_us - last_time_us_ < kTimeGranularityUs) return;
  char record[16];
  PutLittleEndian(end_, record);
  PutLittleEndian(static_cast<std::uint64_t>(unix_us), record + 8);
  if (pwrite(times_.get(), record, sizeof(record), static_cast<off_t>(times_end_)) !=
      static_cast<ssize_t>(sizeof(record))) {
    return;
  }
  times_end_ += sizeof(record);
  last_time_us_ = unix_us;
}

Problem Spool::Sync() {
  if (fdatasync(log_.get()) != 0) return ErrnoProblem("sync log", errno);
  return {};
}

}  // namespace slipway::init
