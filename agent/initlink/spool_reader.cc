#include "agent/initlink/spool_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/status/status.h"

namespace slipway::initlink {
namespace {

constexpr std::size_t kRecord = 16;
constexpr std::uint64_t kPage = 4096;

absl::StatusOr<std::uint64_t> SizeOf(int fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return ErrnoError(errno, "stat log");
  return static_cast<std::uint64_t>(st.st_size);
}

std::uint64_t GetLittleEndian(const char* p) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<std::uint8_t>(p[i]);
  return value;
}

TimeMark Decode(const char* record) {
  return {GetLittleEndian(record), static_cast<std::int64_t>(GetLittleEndian(record + 8))};
}

}  // namespace

absl::StatusOr<SpoolReader> SpoolReader::Open(const ControlDir& dir) {
  SLIPWAY_ASSIGN_OR_RETURN(Fd log, dir.OpenLog());
  SLIPWAY_ASSIGN_OR_RETURN(Fd times, dir.OpenTimes());
  return SpoolReader(std::move(log), std::move(times));
}

absl::StatusOr<std::uint64_t> SpoolReader::End() const { return SizeOf(log_.get()); }

absl::StatusOr<std::size_t> SpoolReader::Read(std::uint64_t offset, char* buffer,
                                              std::size_t size) const {
  for (;;) {
    const ssize_t n = pread(log_.get(), buffer, size, static_cast<off_t>(offset));
    if (n > 0) return static_cast<std::size_t>(n);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read log");
    SLIPWAY_ASSIGN_OR_RETURN(const std::uint64_t end, SizeOf(log_.get()));
    if (offset > end) {
      return MakeError(absl::StatusCode::kDataLoss, "LOG_TRUNCATED",
                       fmt::format("the log ends at {} bytes, before offset {}", end, offset));
    }
    return std::size_t{0};
  }
}

absl::Status SpoolReader::FreeBelow(std::uint64_t durable) {
  const std::uint64_t until = durable - durable % kPage;
  if (until < freed_ + kPunchStep) return absl::OkStatus();
  if (fallocate(log_.get(), FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, static_cast<off_t>(freed_),
                static_cast<off_t>(until - freed_)) != 0 &&
      errno != EOPNOTSUPP) {
    return ErrnoError(errno, "free log space");
  }
  freed_ = until;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TimeMark>> SpoolReader::TimesSince(std::uint64_t offset,
                                                              std::size_t limit) const {
  SLIPWAY_ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(times_.get()));
  const std::uint64_t count = size / kRecord;
  const auto mark_at = [this](std::uint64_t i) -> absl::StatusOr<TimeMark> {
    char record[kRecord];
    if (pread(times_.get(), record, kRecord, static_cast<off_t>(i * kRecord)) !=
        static_cast<ssize_t>(kRecord)) {
      return MakeError(absl::StatusCode::kDataLoss, "LOG_TRUNCATED", "log.times was cut short");
    }
    return Decode(record);
  };
  // First record beyond `offset`; the one before it covers `offset`.
  std::uint64_t low = 0;
  std::uint64_t high = count;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    SLIPWAY_ASSIGN_OR_RETURN(const TimeMark mark, mark_at(middle));
    if (mark.offset <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const std::uint64_t first = low > 0 ? low - 1 : 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count - first, limit));
  std::vector<char> bytes(wanted * kRecord);
  if (!bytes.empty() &&
      pread(times_.get(), bytes.data(), bytes.size(), static_cast<off_t>(first * kRecord)) !=
          static_cast<ssize_t>(bytes.size())) {
    return MakeError(absl::StatusCode::kDataLoss, "LOG_TRUNCATED", "log.times was cut short");
  }
  std::vector<TimeMark> marks;
  marks.reserve(wanted);
  for (std::size_t i = 0; i < wanted; ++i) marks.push_back(Decode(&bytes[i * kRecord]));
  return marks;
}

}  // namespace slipway::initlink
