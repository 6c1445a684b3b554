#include "controller/logs/log_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/loghash/segment_hasher.h"
#include "common/status/status.h"
#include "controller/logs/closed_segments.h"
#include "controller/logs/log_followers.h"
#include "controller/logs/open_log.h"
#include "controller/logs/segment_files.h"

namespace slipway::logs {
namespace {

using loghash::kSegmentBytes;

class DirectoryLogStore final : public LogStore {
 public:
  explicit DirectoryLogStore(Options options)
      : options_(std::move(options)), followers_(options_.followers) {}

  ~DirectoryLogStore() override {
    {
      const std::lock_guard lock(mu_);
      stopping_ = true;
    }
    work_.notify_all();
    if (syncer_.joinable()) syncer_.join();
    if (packer_.joinable()) packer_.join();
  }

  absl::Status Start() {
    std::error_code error;
    std::filesystem::create_directories(PendingDir(), error);
    if (error) return ErrnoError(error.value(), PendingDir());
    // Masked or not, what builds say is not for every account of the machine.
    if (chmod(options_.root.c_str(), 0700) != 0) return ErrnoError(errno, options_.root);
    for (const auto& entry : std::filesystem::directory_iterator(PendingDir(), error)) {
      const std::string name = entry.path().filename().string();
      const auto dot = name.rfind('.');
      if (dot == std::string::npos) continue;
      const AttemptKey key{TaskId(name.substr(0, dot)),
                           Attempt(std::strtoll(name.c_str() + dot + 1, nullptr, 10))};
      const auto seal = ReadSeal(LogDir(options_.root, key));
      if (seal.ok() && !*seal) {
        unsealed_.insert(key);
      } else {
        to_pack_.push_back(key);
      }
    }
    syncer_ = std::thread([this] { SyncLoop(); });
    packer_ = std::thread([this] { PackLoop(); });
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<LogAppender>> Open(const AttemptKey& key) override;

  absl::StatusOr<LogVerdict> Judge(const AttemptKey& key,
                                   const protocol::LogSummary& summary) override {
    if (summary.missing > 0) return LogVerdict::kDamaged;
    const std::string dir = LogDir(options_.root, key);
    SLIPWAY_ASSIGN_OR_RETURN(const auto seal, ReadSeal(dir));
    if (seal) return seal->seal.complete ? LogVerdict::kComplete : LogVerdict::kDamaged;
    if (summary.size == 0) {
      SLIPWAY_ASSIGN_OR_RETURN(const bool empty, IsEmpty(key, dir));
      return empty ? LogVerdict::kComplete : LogVerdict::kDamaged;
    }
    // Opening recovers what is on the disk and makes it durable.
    SLIPWAY_ASSIGN_OR_RETURN(const auto log, Recover(key));
    SLIPWAY_RETURN_IF_ERROR(log->Sync());
    const auto position = log->position();
    if (position.durable < summary.size) return LogVerdict::kIncomplete;
    if (position.received > summary.size) return LogVerdict::kDamaged;
    SLIPWAY_ASSIGN_OR_RETURN(auto closed, RecoverHashes(dir, summary.size));
    loghash::SegmentHasher hasher(loghash::SegmentState{std::move(closed)});
    while (hasher.next() < summary.size) {
      SLIPWAY_ASSIGN_OR_RETURN(const std::string bytes, ReadSlice(dir, hasher.next(), 1 << 20));
      if (bytes.empty()) return LogVerdict::kDamaged;
      hasher.Update(bytes);
    }
    return hasher.Finish() == summary.root ? LogVerdict::kComplete : LogVerdict::kDamaged;
  }

  absl::Status Seal(const AttemptKey& key, const LogSeal& seal) override {
    const std::string dir = LogDir(options_.root, key);
    SLIPWAY_ASSIGN_OR_RETURN(const auto existing, ReadSeal(dir));
    if (existing) {
      // Whoever judged it meanwhile may have taken it up again.
      const std::lock_guard lock(mu_);
      if (unsealed_.erase(key) == 0) return absl::OkStatus();
      open_.erase(key);
      to_pack_.push_back(key);
      work_.notify_all();
      return absl::OkStatus();
    }
    // Nothing ever came and nothing is missing, which the attempt's result says as well.
    if (seal.complete && !Exists(key, dir)) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(const auto log, Recover(key));
    // Before anything is looked at: size and digest are of the same bytes.
    log->EndAppends();
    const auto end = [&]() -> absl::Status {
      SLIPWAY_RETURN_IF_ERROR(log->Sync());
      return WriteSeal(dir, {seal, log->position().durable, log->FinishLastSegment()});
    };
    if (absl::Status ended = end(); !ended.ok()) {
      log->Abandon(ended);
      return ended;
    }
    {
      const std::lock_guard lock(mu_);
      open_.erase(key);
      unsealed_.erase(key);
      to_pack_.push_back(key);
    }
    work_.notify_all();
    followers_.Ended(key);
    return absl::OkStatus();
  }

  std::vector<AttemptKey> Unsealed() const override {
    const std::lock_guard lock(mu_);
    return {unsealed_.begin(), unsealed_.end()};
  }

  absl::StatusOr<Slice> Read(const AttemptKey& key, std::uint64_t offset,
                             std::size_t max) override {
    const std::string dir = LogDir(options_.root, key);
    Slice slice;
    SLIPWAY_ASSIGN_OR_RETURN(const auto seal, ReadSeal(dir));
    if (seal) {
      slice.seal = seal->seal;
      slice.size = seal->size;
    } else if (const auto log = Find(key)) {
      slice.size = log->position().received;
    } else {
      SLIPWAY_ASSIGN_OR_RETURN(slice.size, RecoverSize(dir));
    }
    if (offset >= slice.size) return slice;
    const std::uint64_t index = offset / kSegmentBytes;
    const bool full = index < slice.size / kSegmentBytes;
    const auto want = std::min<std::uint64_t>(max, slice.size - offset);
    if (!full && !seal) {
      // It still grows, so there is no digest yet.
      SLIPWAY_ASSIGN_OR_RETURN(slice.data, ReadSlice(dir, offset, want));
      return slice;
    }
    auto digest = seal ? seal->last : std::nullopt;
    if (full) {
      SLIPWAY_ASSIGN_OR_RETURN(digest, ReadDigest(dir, index));
      // Sealing stores all of them.
      if (seal && !digest) {
        return MakeError(absl::StatusCode::kDataLoss, "LOG_DAMAGED",
                         fmt::format("{}/hashes has no digest of segment {}", dir, index));
      }
    }
    SLIPWAY_ASSIGN_OR_RETURN(const auto segment, closed_.Get(dir, index, digest));
    slice.data =
        segment->substr(std::min<std::uint64_t>(offset % kSegmentBytes, segment->size()), want);
    return slice;
  }

  std::unique_ptr<LogFollow> Follow(const AttemptKey& key, std::function<void()> wake) override {
    return followers_.Follow(key, std::move(wake));
  }

  void Grew(const AttemptKey& key, const std::shared_ptr<OpenLog>& log) {
    {
      const std::lock_guard lock(mu_);
      dirty_[key] = log;
    }
    work_.notify_all();
    followers_.Grew(key);
  }

 private:
  std::string PendingDir() const { return options_.root + "/.pending"; }
  std::string PendingPath(const AttemptKey& key) const {
    return fmt::format("{}/{}.{}", PendingDir(), key.task.value(), key.attempt.value());
  }

  std::shared_ptr<OpenLog> Find(const AttemptKey& key) {
    const std::lock_guard lock(mu_);
    const auto it = open_.find(key);
    return it == open_.end() ? nullptr : it->second.lock();
  }

  // It was opened, by this process or an earlier one.
  bool Exists(const AttemptKey& key, const std::string& dir) {
    {
      const std::lock_guard lock(mu_);
      if (open_.contains(key) || unsealed_.contains(key)) return true;
    }
    return access(dir.c_str(), F_OK) == 0;
  }

  // No byte of the log ever came; leaves no trace of one that was never opened.
  absl::StatusOr<bool> IsEmpty(const AttemptKey& key, const std::string& dir) {
    if (const auto log = Find(key)) return log->position().received == 0;
    SLIPWAY_ASSIGN_OR_RETURN(const std::uint64_t size, RecoverSize(dir));
    return size == 0;
  }

  // The open log, or a new one that goes on behind what is on the disk.
  absl::StatusOr<std::shared_ptr<OpenLog>> Recover(const AttemptKey& key) {
    const std::lock_guard opening(opening_mu_);
    if (auto log = Find(key); log && !log->failed()) return log;
    const std::string dir = LogDir(options_.root, key);
    SLIPWAY_RETURN_IF_ERROR(MarkPending(key));
    std::error_code error;
    if (std::filesystem::create_directories(dir, error)) {
      SLIPWAY_RETURN_IF_ERROR(SyncDir(options_.root));
      SLIPWAY_RETURN_IF_ERROR(SyncDir(std::filesystem::path(dir).parent_path()));
    }
    if (error) return ErrnoError(error.value(), dir);
    SLIPWAY_ASSIGN_OR_RETURN(const std::uint64_t size, RecoverSize(dir));
    // What a killed controller had written but not synced counts only once it is on the disk.
    for (std::uint64_t i = 0; i * kSegmentBytes < size; ++i) {
      SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd fd, OpenFile(SegmentPath(dir, i), O_RDONLY));
      if (fdatasync(fd.get()) != 0) return ErrnoError(errno, dir);
    }
    SLIPWAY_RETURN_IF_ERROR(SyncDir(dir));
    SLIPWAY_ASSIGN_OR_RETURN(auto closed, RecoverHashes(dir, size));
    auto tail = followers_.TailOf(key);
    // Of a log that failed it may be ahead of the disk.
    tail->Clear();
    auto log = std::make_shared<OpenLog>(key, dir, size, std::move(closed), std::move(tail));
    SLIPWAY_RETURN_IF_ERROR(log->Resume());
    const std::lock_guard lock(mu_);
    open_[key] = log;
    return log;
  }

  // A marker from before the first byte until the log is compressed, so that a restart finds what
  // is left to seal and to compress without walking all logs.
  absl::Status MarkPending(const AttemptKey& key) {
    {
      const std::lock_guard lock(mu_);
      if (unsealed_.contains(key)) return absl::OkStatus();
    }
    SLIPWAY_RETURN_IF_ERROR(OpenFile(PendingPath(key), O_WRONLY | O_CREAT).status());
    SLIPWAY_RETURN_IF_ERROR(SyncDir(PendingDir()));
    const std::lock_guard lock(mu_);
    unsealed_.insert(key);
    return absl::OkStatus();
  }

  void SyncLoop() {
    std::unique_lock lock(mu_);
    while (true) {
      work_.wait(lock, [this] { return stopping_ || !dirty_.empty(); });
      if (dirty_.empty()) return;
      auto dirty = std::exchange(dirty_, {});
      lock.unlock();
      for (const auto& [key, log] : dirty) {
        // The error stays in the log: its next Append reports it.
        log->Sync().IgnoreError();
      }
      // Gathers what comes meanwhile into the next group.
      lock.lock();
      work_.wait_for(lock, std::chrono::milliseconds(options_.sync_interval_ms),
                     [this] { return stopping_; });
    }
  }

  void PackLoop() {
    // Compression is for the disk's sake and must never slow a build's log.
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 19);
    std::unique_lock lock(mu_);
    while (true) {
      work_.wait(lock, [this] { return stopping_ || !to_pack_.empty(); });
      if (stopping_) return;
      const AttemptKey key = to_pack_.front();
      to_pack_.pop_front();
      lock.unlock();
      const std::string dir = LogDir(options_.root, key);
      const auto seal = ReadSeal(dir);
      if (seal.ok() && *seal && CompressSegments(dir, (*seal)->size).ok()) {
        unlink(PendingPath(key).c_str());
      }
      lock.lock();
    }
  }

  const Options options_;
  LogFollowers followers_;
  ClosedSegments closed_{{}};
  std::mutex opening_mu_;  // taken before mu_

  mutable std::mutex mu_;
  std::condition_variable work_;
  bool stopping_ = false;
  std::set<AttemptKey> unsealed_;
  std::map<AttemptKey, std::weak_ptr<OpenLog>> open_;
  std::map<AttemptKey, std::shared_ptr<OpenLog>> dirty_;
  std::deque<AttemptKey> to_pack_;

  std::thread syncer_;
  std::thread packer_;
};

class Appender final : public LogAppender {
 public:
  Appender(DirectoryLogStore* store, AttemptKey key, std::shared_ptr<OpenLog> log)
      : store_(store),
        key_(std::move(key)),
        log_(std::move(log)),
        generation_(log_->NewGeneration()) {}
  ~Appender() override { log_->SetSink(generation_, nullptr); }

  absl::StatusOr<std::optional<protocol::LogAck>> Append(
      std::uint64_t offset, std::string_view data, const std::vector<LogTime>& times) override {
    auto ack = log_->Append(generation_, offset, data, times);
    if (ack.ok() && !data.empty()) store_->Grew(key_, log_);
    return ack;
  }
  void SetAckSink(AckSink sink) override { log_->SetSink(generation_, std::move(sink)); }

 private:
  DirectoryLogStore* const store_;
  const AttemptKey key_;
  const std::shared_ptr<OpenLog> log_;
  const std::uint64_t generation_;
};

absl::StatusOr<std::shared_ptr<LogAppender>> DirectoryLogStore::Open(const AttemptKey& key) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto seal, ReadSeal(LogDir(options_.root, key)));
  if (seal) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "LOG_SEALED",
                     "the log is final and takes no more bytes");
  }
  SLIPWAY_ASSIGN_OR_RETURN(auto log, Recover(key));
  return std::static_pointer_cast<LogAppender>(
      std::make_shared<Appender>(this, key, std::move(log)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Make(Options options) {
  auto store = std::make_unique<DirectoryLogStore>(std::move(options));
  SLIPWAY_RETURN_IF_ERROR(store->Start());
  return std::unique_ptr<LogStore>(std::move(store));
}

}  // namespace slipway::logs
