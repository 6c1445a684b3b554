#include "controller/logs/log_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
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

// A log that somebody appends to.
class OpenLog {
 public:
  OpenLog(AttemptKey key, std::string dir, std::uint64_t size, std::vector<Sha256Digest> closed)
      : dir_(std::move(dir)), closed_(std::move(closed)), cursor_(std::move(key), size) {}

  // Feeds the hash with what the open segment holds already.
  absl::Status Resume() {
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

  absl::StatusOr<std::optional<protocol::LogAck>> Append(std::uint64_t generation,
                                                         std::uint64_t offset,
                                                         std::string_view data,
                                                         const std::vector<LogTime>& times) {
    const std::lock_guard lock(mu_);
    if (generation != generation_ || sealed_) return StaleAppender();
    SLIPWAY_RETURN_IF_ERROR(failed_);
    const std::uint64_t before = cursor_.received();
    const ChunkVerdict verdict = cursor_.OnChunk(offset, data.size());
    if (verdict.take > 0) {
      if (auto written = Write(before, data.substr(verdict.skip, verdict.take), times);
          !written.ok()) {
        // The cursor believes in bytes that are not there; the next Open starts from the disk.
        failed_ = written;
        return written;
      }
    }
    if (!verdict.ack_now) return std::optional<protocol::LogAck>();
    return std::optional(cursor_.Ack());
  }

  // Makes everything received so far durable. The sink is called without mu_.
  absl::Status Sync() {
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

  void SetSink(std::uint64_t generation, LogAppender::AckSink sink) {
    const std::lock_guard sink_lock(sink_mu_);
    const std::lock_guard lock(mu_);
    if (generation == generation_) sink_ = std::move(sink);
  }

  std::uint64_t NewGeneration() {
    const std::lock_guard sink_lock(sink_mu_);
    const std::lock_guard lock(mu_);
    sink_ = nullptr;
    return ++generation_;
  }

  struct Position {
    std::uint64_t received = 0;
    std::uint64_t durable = 0;
  };
  Position position() const {
    const std::lock_guard lock(mu_);
    return {cursor_.received(), cursor_.durable()};
  }
  bool failed() const {
    const std::lock_guard lock(mu_);
    return !failed_.ok();
  }
  void MarkSealed() {
    const std::lock_guard lock(mu_);
    sealed_ = true;
  }

 private:
  absl::Status Write(std::uint64_t offset, std::string_view data,
                     const std::vector<LogTime>& times) {
    while (!data.empty()) {
      const std::uint64_t at = offset % kSegmentBytes;
      if (!segment_ || at == 0) {
        if (segment_) unsynced_.push_back(segment_);
        SLIPWAY_ASSIGN_OR_RETURN(
            fs::UniqueFd fd,
            OpenFile(SegmentPath(dir_, offset / kSegmentBytes), O_WRONLY | O_CREAT));
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

  absl::Status CloseSegment() {
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
  absl::Status WriteTimes(const std::vector<LogTime>& times) {
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

  const std::string dir_;

  // Held while the sink runs, so that changing it waits; taken before mu_.
  std::mutex sink_mu_;
  LogAppender::AckSink sink_;

  mutable std::mutex mu_;
  std::uint64_t generation_ = 0;
  bool sealed_ = false;
  absl::Status failed_;
  std::vector<Sha256Digest> closed_;
  crypto::Sha256Hasher open_hash_;
  std::uint64_t open_hash_bytes_ = 0;
  LogCursor cursor_;
  std::shared_ptr<fs::UniqueFd> segment_;
  std::shared_ptr<fs::UniqueFd> hashes_;
  std::shared_ptr<fs::UniqueFd> times_;
  std::vector<std::shared_ptr<fs::UniqueFd>> unsynced_;
  bool new_names_ = true;
};

struct Subscription {
  explicit Subscription(std::function<void()> fn) : wake(std::move(fn)) {}
  void Call() {
    const std::lock_guard lock(mu);
    if (wake) wake();
  }
  std::mutex mu;
  std::function<void()> wake;
};

class DirectoryLogStore final : public LogStore {
 public:
  explicit DirectoryLogStore(Options options) : options_(std::move(options)) {}

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
    for (const auto& entry : std::filesystem::directory_iterator(PendingDir(), error)) {
      const std::string name = entry.path().filename().string();
      const auto dot = name.rfind('.');
      if (dot == std::string::npos) continue;
      to_pack_.push_back({TaskId(name.substr(0, dot)),
                          Attempt(std::strtoll(name.c_str() + dot + 1, nullptr, 10))});
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
    if (summary.size == 0) return LogVerdict::kComplete;
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
    if (existing) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(const auto log, Recover(key));
    SLIPWAY_RETURN_IF_ERROR(log->Sync());
    SLIPWAY_RETURN_IF_ERROR(WriteSeal(dir, {seal, log->position().durable}));
    log->MarkSealed();
    {
      const std::lock_guard lock(mu_);
      open_.erase(key);
      // A marker, so that a restart finds what is left to compress without walking all logs.
      if (auto marker = OpenFile(PendingPath(key), O_WRONLY | O_CREAT); marker.ok()) {
        to_pack_.push_back(key);
      }
    }
    work_.notify_all();
    Wake(key);
    return absl::OkStatus();
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
    if (offset < slice.size) {
      const auto want = std::min<std::uint64_t>(max, slice.size - offset);
      SLIPWAY_ASSIGN_OR_RETURN(slice.data, ReadSlice(dir, offset, want));
    }
    return slice;
  }

  std::shared_ptr<void> Subscribe(const AttemptKey& key, std::function<void()> wake) override {
    auto subscription = std::make_shared<Subscription>(std::move(wake));
    {
      const std::lock_guard lock(mu_);
      subscriptions_.emplace(key, subscription);
    }
    return {subscription.get(), [this, subscription, key](void*) {
              {
                const std::lock_guard lock(mu_);
                const auto [begin, end] = subscriptions_.equal_range(key);
                for (auto it = begin; it != end; ++it) {
                  if (it->second == subscription) {
                    subscriptions_.erase(it);
                    break;
                  }
                }
              }
              const std::lock_guard lock(subscription->mu);
              subscription->wake = nullptr;
            }};
  }

  void Grew(const AttemptKey& key, const std::shared_ptr<OpenLog>& log) {
    {
      const std::lock_guard lock(mu_);
      dirty_[key] = log;
    }
    work_.notify_all();
    Wake(key);
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

  // The open log, or a new one that goes on behind what is on the disk.
  absl::StatusOr<std::shared_ptr<OpenLog>> Recover(const AttemptKey& key) {
    const std::lock_guard opening(opening_mu_);
    if (auto log = Find(key); log && !log->failed()) return log;
    const std::string dir = LogDir(options_.root, key);
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
    auto log = std::make_shared<OpenLog>(key, dir, size, std::move(closed));
    SLIPWAY_RETURN_IF_ERROR(log->Resume());
    const std::lock_guard lock(mu_);
    open_[key] = log;
    return log;
  }

  void Wake(const AttemptKey& key) {
    std::vector<std::shared_ptr<Subscription>> targets;
    {
      const std::lock_guard lock(mu_);
      const auto [begin, end] = subscriptions_.equal_range(key);
      for (auto it = begin; it != end; ++it) targets.push_back(it->second);
    }
    for (const auto& target : targets) target->Call();
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
  std::mutex opening_mu_;  // taken before mu_

  std::mutex mu_;
  std::condition_variable work_;
  bool stopping_ = false;
  std::map<AttemptKey, std::weak_ptr<OpenLog>> open_;
  std::map<AttemptKey, std::shared_ptr<OpenLog>> dirty_;
  std::multimap<AttemptKey, std::shared_ptr<Subscription>> subscriptions_;
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
