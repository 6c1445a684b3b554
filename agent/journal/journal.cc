#include "agent/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "agent/journal/codec.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::journal {
namespace {

// A journal speaks of the attempts held and what became of them; more is not one.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;
// Taken from the file system ahead of what is written: the entries of many attempts.
constexpr off_t kRoom = off_t{256} << 10;

absl::Status SyncParent(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd dir, fs::OpenDirectory(parent));
  return fs::Sync(dir.get(), parent);
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return ErrnoError(errno, path);
  if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) > kMaxFileBytes) {
    return MakeError(absl::StatusCode::kDataLoss, "", path + ": not a journal");
  }
  std::string bytes(static_cast<std::size_t>(st.st_size), '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(fd, bytes, path));
  bytes.resize(n);
  return bytes;
}

}  // namespace

absl::StatusOr<Journal::Opened> Journal::Open(JournalOptions options) {
  const std::string path = options.path;
  fs::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(errno, path);
  SLIPWAY_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(fd.get(), path));
  std::optional<Decoded> decoded = DecodeFile(bytes);
  if (!decoded) {
    return MakeError(absl::StatusCode::kDataLoss, "JOURNAL_UNREADABLE",
                     path + ": not a journal that this version of slipway-agent can read",
                     "Use the version that wrote it, or move the data directory away and join the "
                     "farm again.");
  }
  Opened opened;
  opened.entries = std::move(decoded->entries);
  opened.cut_bytes = bytes.size() - decoded->valid_bytes;
  std::uint64_t size = decoded->valid_bytes;
  if (opened.cut_bytes > 0 && ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return ErrnoError(errno, path);
  }
  if (lseek(fd.get(), static_cast<off_t>(size), SEEK_SET) < 0) return ErrnoError(errno, path);
  if (size == 0) {
    SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(fd.get(), kMagic, path));
    size = kMagic.size();
  }
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(fd.get(), path));
  SLIPWAY_RETURN_IF_ERROR(SyncParent(path));
  opened.journal.reset(new Journal(std::move(options), fd.Release(), size));
  return opened;
}

Journal::Journal(JournalOptions options, int fd, std::uint64_t size)
    : options_(std::move(options)), fd_(fd), size_(size), rewritten_size_(size) {
  KeepRoom();
}

void Journal::KeepRoom() {
  const off_t end = lseek(fd_, 0, SEEK_CUR);
  if (end < 0 || room_end_ - end >= kRoom / 2) return;
  if (fallocate(fd_, FALLOC_FL_KEEP_SIZE, end, kRoom) == 0) room_end_ = end + kRoom;
}

Journal::~Journal() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
  close(fd_);
}

void Journal::Start(std::function<void(agent::JournalId)> synced,
                    std::function<void(const absl::Status&)> failed) {
  synced_ = std::move(synced);
  failed_ = std::move(failed);
  worker_ = std::thread([this] { Work(); });
}

void Journal::Append(agent::JournalId id, const agent::JournalEntry& entry) {
  const std::string record = EncodeRecord(entry);
  {
    const std::lock_guard lock(mu_);
    pending_.append(record);
    last_id_ = id;
    size_ += record.size();
  }
  changed_.notify_one();
}

bool Journal::WantsRewrite() const {
  const std::lock_guard lock(mu_);
  return size_ > options_.rewrite_above_bytes && size_ > 2 * rewritten_size_;
}

void Journal::Rewrite(const std::vector<agent::JournalEntry>& entries) {
  std::string content(kMagic);
  for (const agent::JournalEntry& entry : entries) content.append(EncodeRecord(entry));
  {
    const std::lock_guard lock(mu_);
    size_ = rewritten_size_ = content.size();
    replacement_ = std::move(content);
    pending_.clear();
  }
  changed_.notify_one();
}

absl::Status Journal::WriteBatch(const std::string& bytes) {
  if (bytes.empty()) return absl::OkStatus();
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(fd_, bytes, options_.path));
  if (fdatasync(fd_) != 0) return ErrnoError(errno, options_.path);
  KeepRoom();
  return absl::OkStatus();
}

absl::Status Journal::ReplaceFile(const std::string& content) {
  const std::string temporary = options_.path + ".new";
  fs::UniqueFd fd(
      open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(errno, temporary);
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(fd.get(), content, temporary));
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(fd.get(), temporary));
  if (rename(temporary.c_str(), options_.path.c_str()) != 0) {
    return ErrnoError(errno, options_.path);
  }
  SLIPWAY_RETURN_IF_ERROR(SyncParent(options_.path));
  close(fd_);
  fd_ = fd.Release();
  room_end_ = 0;
  KeepRoom();
  return absl::OkStatus();
}

void Journal::Work() {
  std::unique_lock lock(mu_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !pending_.empty() || !replacement_.empty(); });
    if (pending_.empty() && replacement_.empty()) return;
    const std::string replacement = std::exchange(replacement_, {});
    const std::string batch = std::exchange(pending_, {});
    const agent::JournalId id = last_id_;
    const bool tell = id > told_id_;
    told_id_ = id;
    lock.unlock();
    absl::Status written;
    if (!replacement.empty()) written = ReplaceFile(replacement);
    if (written.ok()) written = WriteBatch(batch);
    if (!written.ok()) {
      failed_(written);
      return;
    }
    if (tell) synced_(id);
    lock.lock();
  }
}

}  // namespace slipway::journal
