#include "controller/logs/open_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/loghash/segment_hasher.h"
#include "common/status/status.h"
#include "controller/logs/segment_files.h"

namespace slipway::logs {
namespace {

using loghash::kSegmentBytes;

absl::Status StaleAppender() {
  return MakeError(absl::StatusCode::kAborted, "LOG_TAKEN_OVER",
                   "a newer stream appends to this log");
}

void AppendTimes(std::string& out, const std::vector<LogTime>& times) {
  for (const LogTime& t : times) {
    char record[16];
    std::memcpy(record, &t.offset, 8);
    std::memcpy(record + 8, &t.unix_micros, 8);
    out.append(record, sizeof record);
  }
}

}  // namespace

OpenLog::OpenLog(AttemptKey key, std::string dir, std::uint64_t size,
                 std::vector<Sha256Digest> closed, std::shared_ptr<LogTail> tail)
    : dir_(std::move(dir)),
      tail_(std::move(tail)),
      closed_(std::move(closed)),
      cursor_(std::move(key), size) {}

absl::Status OpenLog::Resume() {
  const std::uint64_t start = closed_.size() * kSegmentBytes;
  while (start + open_hash_bytes_ < cursor_.received()) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::string bytes,
                             ReadSlice(dir_, start + open_hash_bytes_, 1 << 20));
    if (bytes.empty()) return absl::DataLossError(dir_ + " is shorter than its files say");
    open_hash_.Update(bytes);
    open_hash_bytes_ += bytes.size();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<protocol::LogAck>> OpenLog::Append(std::uint64_t generation,
                                                                std::uint64_t offset,
                                                                std::string_view data,
                                                                const std::vector<LogTime>& times) {
  const std::lock_guard lock(mu_);
  if (generation != generation_ || ended_) return StaleAppender();
  SLIPWAY_RETURN_IF_ERROR(failed_);
  const std::uint64_t before = cursor_.received();
  const ChunkVerdict verdict = cursor_.OnChunk(offset, data.size());
  if (verdict.take > 0) {
    const std::string_view taken = data.substr(verdict.skip, verdict.take);
    if (auto written = Write(before, taken, times); !written.ok()) {
      // The cursor believes in bytes that are not there; the next Open starts from the disk.
      failed_ = written;
      return written;
    }
    tail_->Append(before, taken);
  }
  if (!verdict.ack_now) return std::optional<protocol::LogAck>();
  return std::optional(cursor_.Ack());
}

absl::Status OpenLog::Sync() {
  std::uint64_t target = 0;
  std::vector<std::shared_ptr<fs::UniqueFd>> files;
  bool new_names = false;
  {
    const std::lock_guard lock(mu_);
    target = cursor_.received();
    files.swap(unsynced_);
    if (segment_) files.push_back(segment_);
    new_names = std::exchange(new_names_, false);
  }
  absl::Status status;
  for (const auto& file : files) {
    if (fdatasync(file->get()) != 0) status = ErrnoError(errno, dir_);
  }
  if (new_names && status.ok()) status = SyncDir(dir_);
  std::optional<protocol::LogAck> ack;
  {
    const std::lock_guard lock(mu_);
    // After a failed sync nobody knows what is on the disk; the kernel forgets the error.
    if (!status.ok()) failed_ = status;
    if (failed_.ok() && cursor_.OnSynced(target)) ack = cursor_.Ack();
  }
  if (ack) {
    const std::lock_guard lock(sink_mu_);
    if (sink_) sink_(*ack);
  }
  return status;
}

void OpenLog::SetSink(std::uint64_t generation, LogAppender::AckSink sink) {
  const std::lock_guard sink_lock(sink_mu_);
  const std::lock_guard lock(mu_);
  if (generation == generation_) sink_ = std::move(sink);
}

std::uint64_t OpenLog::NewGeneration() {
  const std::lock_guard sink_lock(sink_mu_);
  const std::lock_guard lock(mu_);
  sink_ = nullptr;
  return ++generation_;
}

OpenLog::Position OpenLog::position() const {
  const std::lock_guard lock(mu_);
  return {cursor_.received(), cursor_.durable()};
}
bool OpenLog::failed() const {
  const std::lock_guard lock(mu_);
  return !failed_.ok();
}
void OpenLog::EndAppends() {
  const std::lock_guard lock(mu_);
  ended_ = true;
}
std::optional<Sha256Digest> OpenLog::FinishLastSegment() {
  const std::lock_guard lock(mu_);
  if (open_hash_bytes_ == 0) return std::nullopt;
  return open_hash_.Finish();
}
void OpenLog::Abandon(absl::Status why) {
  const std::lock_guard lock(mu_);
  failed_ = std::move(why);
}

absl::Status OpenLog::Write(std::uint64_t offset, std::string_view data,
                            const std::vector<LogTime>& times) {
  while (!data.empty()) {
    const std::uint64_t at = offset % kSegmentBytes;
    if (!segment_ || at == 0) {
      if (segment_) unsynced_.push_back(segment_);
      SLIPWAY_ASSIGN_OR_RETURN(
          fs::UniqueFd fd, OpenFile(SegmentPath(dir_, offset / kSegmentBytes), O_WRONLY | O_CREAT));
      segment_ = std::make_shared<fs::UniqueFd>(std::move(fd));
      new_names_ = true;
    }
    const std::string_view part = data.substr(0, kSegmentBytes - at);
    SLIPWAY_RETURN_IF_ERROR(WriteAll(segment_->get(), part, at));
    open_hash_.Update(part);
    open_hash_bytes_ += part.size();
    if (open_hash_bytes_ == kSegmentBytes) {
      SLIPWAY_RETURN_IF_ERROR(CloseSegment());
    }
    offset += part.size();
    data.remove_prefix(part.size());
  }
  return WriteTimes(times);
}

absl::Status OpenLog::CloseSegment() {
  if (!hashes_) {
    SLIPWAY_ASSIGN_OR_RETURN(fs::UniqueFd fd, OpenFile(dir_ + "/hashes", O_WRONLY | O_CREAT));
    hashes_ = std::make_shared<fs::UniqueFd>(std::move(fd));
  }
  const Sha256Digest digest = open_hash_.Finish();
  SLIPWAY_RETURN_IF_ERROR(
      WriteAll(hashes_->get(), digest.Bytes(), closed_.size() * Sha256Digest::kSize));
  unsynced_.push_back(hashes_);
  closed_.push_back(digest);
  open_hash_bytes_ = 0;
  return absl::OkStatus();
}

// Times are for people: a repeated or lost record does no harm, so they are not synced.
absl::Status OpenLog::WriteTimes(const std::vector<LogTime>& times) {
  if (times.empty()) return absl::OkStatus();
  if (!times_) {
    SLIPWAY_ASSIGN_OR_RETURN(fs::UniqueFd fd,
                             OpenFile(dir_ + "/times", O_WRONLY | O_CREAT | O_APPEND));
    times_ = std::make_shared<fs::UniqueFd>(std::move(fd));
  }
  std::string records;
  AppendTimes(records, times);
  if (write(times_->get(), records.data(), records.size()) < 0) return ErrnoError(errno, dir_);
  return absl::OkStatus();
}

}  // namespace slipway::logs
