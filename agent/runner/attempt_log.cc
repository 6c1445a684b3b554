#include "agent/runner/attempt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/artifacts/retry.h"
#include "common/fs/files.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
// Bytes per round, so that the end is told while a fast log flows.
constexpr std::uint64_t kRoundBytes = std::uint64_t{8} << 20;
// Pauses between looks at the spool: while it grows, and at rest.
constexpr auto kBusyPause = 10ms;
constexpr auto kIdlePause = 40ms;
// Looks in a row that found something after which it is not looked before the pause is over.
constexpr int kPromptRounds = 8;
// A log this far ahead is not waited for.
constexpr std::uint64_t kBusyBytes = std::uint64_t{1} << 20;
// Kept of what is durable, so that the last words can still be quoted.
constexpr std::uint64_t kKeepBytes = std::uint64_t{64} << 10;
constexpr std::uint64_t kMaxSegments = std::uint64_t{1} << 20;
// Taken for log.segments beforehand: on a full disk no space could be freed otherwise.
constexpr off_t kSegmentsRoom = 4096;
// Between tries of what failed.
constexpr artifacts::RetryOptions kRetry = {.first_wait = 100ms, .longest_wait = 5s};
constexpr auto kLeaveLook = 100ms;

// Something that is done over and over and may fail for a while, as on a full disk: when it is
// worth a try again, and what operators hear of it.
class Repeated {
 public:
  Repeated(std::string_view event, const std::string& dir)
      : event_(event), dir_(dir), backoff_(kRetry) {}

  [[nodiscard]] bool Due(MonoTime now) const { return now >= next_; }
  void Saw(const absl::Status& status, MonoTime now) {
    if (status.ok()) {
      if (failing_) log::Info(event_, {{"dir", dir_}, {"why", "it goes on"}});
      failing_ = false;
      backoff_.Reset();
      return;
    }
    if (!failing_) log::Error(event_, {{"dir", dir_}, {"why", Describe(status)}});
    failing_ = true;
    next_ = now + backoff_.Next();
  }

 private:
  const std::string_view event_;
  const std::string& dir_;
  artifacts::Backoff backoff_;
  MonoTime next_;
  bool failing_ = false;
};

std::uint64_t SizeOf(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 ? static_cast<std::uint64_t>(st.st_size) : 0;
}

absl::StatusOr<loghash::SegmentState> ReadSegments(int fd, std::uint64_t log_size) {
  const std::uint64_t count =
      std::min({SizeOf(fd) / Sha256Digest::kSize, log_size / loghash::kSegmentBytes, kMaxSegments});
  std::string bytes(count * Sha256Digest::kSize, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(fd, bytes, "log.segments"));
  loghash::SegmentState state;
  for (std::size_t at = 0; at + Sha256Digest::kSize <= n; at += Sha256Digest::kSize) {
    const std::string_view one(&bytes[at], Sha256Digest::kSize);
    state.closed.push_back(Sha256Digest::FromBytes(one).value());
  }
  return state;
}

// What has to be on the disk, beside the bytes, for the log to be found again.
absl::StatusOr<std::vector<fs::UniqueFd>> Foundations(const std::string& attempt_dir) {
  std::vector<fs::UniqueFd> found;
  for (const char* name : {"", "/control"}) {
    const std::string path = attempt_dir + name;
    found.emplace_back(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!found.back().valid()) return ErrnoError(errno, path);
  }
  return found;
}

}  // namespace

absl::StatusOr<std::shared_ptr<AttemptLog>> AttemptLog::Open(const std::string& attempt_dir,
                                                             Grew grew, AttemptLogOptions options) {
  absl::StatusOr<initlink::ControlDir> control = initlink::ControlDir::Open(attempt_dir);
  if (control.status().code() == absl::StatusCode::kNotFound) {
    control = initlink::ControlDir::Prepare(attempt_dir);
  }
  SLIPWAY_RETURN_IF_ERROR(control.status());
  SLIPWAY_ASSIGN_OR_RETURN(auto reader, initlink::SpoolReader::Open(*control));
  SLIPWAY_ASSIGN_OR_RETURN(auto marks, initlink::SpoolReader::Open(*control));
  SLIPWAY_ASSIGN_OR_RETURN(auto log, control->OpenLog());
  const std::string path = attempt_dir + "/log.segments";
  fs::UniqueFd segments(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!segments.valid()) return ErrnoError(errno, path);
  (void)fallocate(segments.get(), FALLOC_FL_KEEP_SIZE, 0, kSegmentsRoom);
  SLIPWAY_ASSIGN_OR_RETURN(std::vector<fs::UniqueFd> unsynced, Foundations(attempt_dir));
  SLIPWAY_ASSIGN_OR_RETURN(loghash::SegmentState state,
                           ReadSegments(segments.get(), SizeOf(log.get())));
  return std::shared_ptr<AttemptLog>(new AttemptLog(
      *std::move(control), std::move(reader), std::move(marks), std::move(log), std::move(segments),
      std::move(unsynced), std::move(state), std::move(grew), std::move(options)));
}

std::uint64_t AttemptLog::Size() const { return SizeOf(log_.get()); }

protocol::LogSummary AttemptLog::Unreadable(const std::string& attempt_dir) {
  struct stat st {};
  const bool there = lstat((attempt_dir + "/control/log").c_str(), &st) == 0 && S_ISREG(st.st_mode);
  const auto size = there ? static_cast<std::uint64_t>(st.st_size) : 0;
  return {.size = size, .root = {}, .missing = size};
}

AttemptLog::AttemptLog(initlink::ControlDir control, initlink::SpoolReader reader,
                       initlink::SpoolReader marks, initlink::Fd log, fs::UniqueFd segments,
                       std::vector<fs::UniqueFd> unsynced, loghash::SegmentState state, Grew grew,
                       AttemptLogOptions options)
    : options_(std::move(options)),
      grew_(std::move(grew)),
      log_(std::move(log)),
      segments_(std::move(segments)),
      marks_(std::move(marks)),
      control_(std::move(control)),
      reader_(std::move(reader)),
      hasher_(std::move(state)),
      unsynced_(std::move(unsynced)),
      segments_kept_(hasher_.state().closed.size()),
      begin_(FirstKept()) {
  follower_ = std::thread([this] { Follow(); });
}

AttemptLog::~AttemptLog() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (follower_.joinable()) follower_.join();
}

// What was freed is a hole at the front.
std::uint64_t AttemptLog::FirstKept() const {
  const off_t data = lseek(log_.get(), 0, SEEK_DATA);
  if (data >= 0) return static_cast<std::uint64_t>(data);
  return errno == ENXIO ? SizeOf(log_.get()) : 0;
}

absl::Status AttemptLog::AppendLine(std::string_view text) {
  const std::string line = fmt::format("slipway: {}\n", text);
  std::string_view rest = line;
  std::uint64_t at = SizeOf(log_.get());
  const bool first = at == 0;
  if (!first) {
    char last = '\n';
    if (pread(log_.get(), &last, 1, static_cast<off_t>(at - 1)) == 1 && last != '\n') {
      if (pwrite(log_.get(), "\n", 1, static_cast<off_t>(at)) != 1) {
        return ErrnoError(errno, "write the log");
      }
      ++at;
    }
  }
  while (!rest.empty()) {
    const ssize_t n = pwrite(log_.get(), rest.data(), rest.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoError(errno, "write the log");
    rest.remove_prefix(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
  // So that the stream to the controller is open when the script prints.
  if (first) Poke();
  return absl::OkStatus();
}

void AttemptLog::Poke() {
  {
    const std::lock_guard lock(mu_);
    if (poked_) return;
    poked_ = true;
  }
  changed_.notify_all();
}

absl::StatusOr<std::size_t> AttemptLog::Read(std::uint64_t offset, char* buffer,
                                             std::size_t size) const {
  for (;;) {
    const ssize_t n = pread(log_.get(), buffer, size, static_cast<off_t>(offset));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return ErrnoError(errno, "read the log");
  }
}

std::vector<initlink::TimeMark> AttemptLog::Marks(std::uint64_t begin, std::uint64_t end) const {
  absl::StatusOr<std::vector<initlink::TimeMark>> marks = marks_.TimesSince(begin, 512);
  if (!marks.ok()) return {};
  std::erase_if(*marks, [&](const initlink::TimeMark& mark) {
    return mark.offset < begin || mark.offset >= end;
  });
  return *std::move(marks);
}

void AttemptLog::SetDurable(std::uint64_t offset) {
  const std::lock_guard lock(mu_);
  durable_ = std::max(durable_, offset);
}

std::uint64_t AttemptLog::durable() const {
  const std::lock_guard lock(mu_);
  return durable_;
}

std::string AttemptLog::Tail(std::uint64_t begin, std::uint64_t end, std::size_t size) const {
  if (end - begin > size) begin = end - size;
  std::string words(end - begin, '\0');
  const absl::StatusOr<std::size_t> n = Read(begin, words.data(), words.size());
  words.resize(n.ok() ? *n : 0);
  words.erase(0, words.find_first_not_of('\0'));  // freed already
  return words;
}

absl::Status AttemptLog::SyncFoundations() {
  for (; !unsynced_.empty(); unsynced_.pop_back()) {
    SLIPWAY_RETURN_IF_ERROR(fs::Sync(unsynced_.back().get(), "the log's directories"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> AttemptLog::Advance(std::uint64_t limit) {
  const std::uint64_t end = std::min(SizeOf(log_.get()), hasher_.next() + limit);
  if (end > hasher_.next()) {
    if (options_.sync(log_.get()) != 0) return ErrnoError(errno, "sync the log");
    SLIPWAY_RETURN_IF_ERROR(SyncFoundations());
  }
  if (buffer_.empty() && end > hasher_.next()) buffer_.resize(kBufferBytes);
  while (hasher_.next() < end) {
    const std::size_t want = std::min<std::uint64_t>(buffer_.size(), end - hasher_.next());
    SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, Read(hasher_.next(), buffer_.data(), want));
    if (n == 0) {
      return MakeError(absl::StatusCode::kDataLoss, "LOG_TRUNCATED", "the log was cut short");
    }
    hasher_.Update({buffer_.data(), n});
  }
  if (end <= told_) return false;
  told_ = end;
  grew_(begin_, end);
  return true;
}

absl::Status AttemptLog::FreeWhatIsDurable() {
  const std::uint64_t until = std::min(durable(), hasher_.open_segment_start());
  if (until < begin_ + kKeepBytes + initlink::SpoolReader::kPunchStep) return absl::OkStatus();
  const auto& closed = hasher_.state().closed;
  if (segments_kept_ < closed.size()) {
    std::string bytes;
    for (std::size_t i = segments_kept_; i < closed.size(); ++i) bytes += closed[i].Bytes();
    const ssize_t n = pwrite(segments_.get(), bytes.data(), bytes.size(),
                             static_cast<off_t>(segments_kept_ * Sha256Digest::kSize));
    if (n != static_cast<ssize_t>(bytes.size())) {
      return ErrnoError(n < 0 ? errno : ENOSPC, "write log.segments");
    }
    SLIPWAY_RETURN_IF_ERROR(fs::Sync(segments_.get(), "log.segments"));
    segments_kept_ = closed.size();
  }
  SLIPWAY_RETURN_IF_ERROR(reader_.FreeBelow(until - kKeepBytes));
  begin_ = FirstKept();
  return absl::OkStatus();
}

void AttemptLog::Follow() {
  // The part between what is hashed and the end of the file, and where it begins.
  told_ = hasher_.next();
  Repeated advancing("log_not_synced", control_.path());
  Repeated freeing("log_not_freed", control_.path());
  bool first = true;
  int busy_rounds = 0;
  // While nobody waits for bytes yet; what fails is tried again with the first of them.
  SyncFoundations().IgnoreError();
  for (;;) {
    bool grew = false;
    if (advancing.Due(clock_.Mono())) {
      const absl::StatusOr<bool> advanced = Advance(kRoundBytes);
      advancing.Saw(advanced.status(), clock_.Mono());
      grew = advanced.ok() && *advanced;
    }
    if (first && !grew) grew_(begin_, told_);
    first = false;
    if (freeing.Due(clock_.Mono())) freeing.Saw(FreeWhatIsDurable(), clock_.Mono());
    std::unique_lock lock(mu_);
    if (stopping_) return;
    if (grew && SizeOf(log_.get()) > told_ + kBusyBytes) continue;
    // What comes after silence is told at once; a log that goes on shares its syncs.
    busy_rounds = grew ? busy_rounds + 1 : 0;
    const bool prompt = busy_rounds < kPromptRounds;
    changed_.wait_for(lock, grew ? kBusyPause : kIdlePause,
                      [&] { return stopping_ || (prompt && poked_); });
    if (stopping_) return;
    poked_ = false;
    if (!grew && !buffer_.empty()) {
      buffer_.clear();
      buffer_.shrink_to_fit();
    }
  }
}

protocol::LogSummary AttemptLog::Seal(const std::function<bool()>& leaving) {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (follower_.joinable()) follower_.join();
  const MonoTime give_up = clock_.Mono() + options_.seal_patience;
  Repeated advancing("log_not_sealed", control_.path());
  for (;;) {
    if (advancing.Due(clock_.Mono())) {
      const absl::Status status = Advance(UINT64_MAX / 2).status();
      advancing.Saw(status, clock_.Mono());
      if (status.ok()) {
        protocol::LogSummary summary;
        summary.size = hasher_.next();
        summary.root = hasher_.Finish();
        return summary;
      }
    }
    if (leaving() || clock_.Mono() >= give_up) break;
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, kLeaveLook);
  }
  protocol::LogSummary summary;
  summary.size = SizeOf(log_.get());
  summary.missing = summary.size - std::min(summary.size, told_);
  return summary;
}

}  // namespace slipway::runner
