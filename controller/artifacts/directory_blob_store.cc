#include "controller/artifacts/directory_blob_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include "common/crypto/hash.h"
#include "common/fs/directory_stream.h"
#include "common/fs/files.h"
#include "common/status/status.h"

namespace slipway::artifacts {
namespace {

using absl::StatusCode;

constexpr int kShards = 256;
// Up to here an fsync per file is cheaper than a syncfs, which also flushes everybody else's data.
constexpr std::size_t kFewFiles = 4;
// Of one blob, before the kernel is asked to begin writing them.
constexpr off_t kWriteBackBytes = off_t{8} << 20;
// What a reader unpacks at once: four bytes of a frame can stand for 128 KiB.
constexpr std::size_t kSliceBytes = 256;

std::string ShardOf(const Sha256Digest& digest) { return digest.Hex().substr(0, 2); }

std::string NameOf(const Sha256Digest& digest) {
  const std::string hex = digest.Hex();
  return fmt::format("{}/{}.zst", hex.substr(0, 2), hex);
}

absl::Status StorageError(int error_number, std::string_view what) {
  if (error_number != ENOSPC && error_number != EDQUOT) return ErrnoError(error_number, what);
  return MakeError(StatusCode::kResourceExhausted, "STORAGE_FULL",
                   fmt::format("the controller's artifact storage is full ({})", what),
                   "Free space on the controller's data directory or remove old artifacts; nothing "
                   "stored so far is lost.");
}

absl::StatusOr<fs::UniqueFd> MakeDirectory(int parent, const std::string& name) {
  if (mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return StorageError(errno, fmt::format("create {}", name));
  }
  fs::UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, fmt::format("open {}", name));
  return fd;
}

absl::Status RemoveAllFiles(int directory) {
  fs::UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const fs::DirectoryStream stream(copy.valid() ? fdopendir(copy.get()) : nullptr);
  if (stream == nullptr) return ErrnoError(errno, "list unfinished blobs");
  static_cast<void>(copy.Release());
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (unlinkat(directory, entry->d_name, 0) != 0) {
      return ErrnoError(errno, fmt::format("remove unfinished blob {}", name));
    }
  }
  return absl::OkStatus();
}

// The content of a frame, hashed on the way.
class VerifyingReader final : public fs::ByteReader {
 public:
  VerifyingReader(std::unique_ptr<fs::ByteReader> frame, const Sha256Digest& digest)
      : frame_(std::move(frame)), digest_(digest) {}

  absl::StatusOr<std::size_t> Read(std::span<char> buffer) override {
    while (position_ == plain_.size() && !ended_) SLIPWAY_RETURN_IF_ERROR(Refill());
    const std::size_t n = std::min(buffer.size(), plain_.size() - position_);
    std::copy_n(plain_.begin() + static_cast<std::ptrdiff_t>(position_), n, buffer.begin());
    position_ += n;
    return n;
  }

 private:
  absl::Status Corrupt(std::string_view why) const {
    return MakeError(StatusCode::kDataLoss, "BLOB_CORRUPT",
                     fmt::format("stored blob {} is damaged: {}", digest_.ToString(), why),
                     "Check the controller's disk; restore the blob from a backup or build again.");
  }

  absl::Status Refill() {
    plain_.clear();
    position_ = 0;
    if (packed_rest_.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, frame_->Read(packed_));
      packed_rest_ = {packed_.data(), n};
    }
    if (packed_rest_.empty()) {
      ended_ = true;
      if (!zstd_.done()) return Corrupt("it was cut off");
      return hasher_.Finish() == digest_ ? absl::OkStatus() : Corrupt("it has another content");
    }
    const std::string_view slice = packed_rest_.substr(0, kSliceBytes);
    packed_rest_.remove_prefix(slice.size());
    const absl::Status status = zstd_.Append(slice, [&](std::string_view bytes) {
      hasher_.Update(bytes);
      plain_ += bytes;
      return absl::OkStatus();
    });
    return status.ok() ? status : Corrupt(std::string(status.message()));
  }

  const std::unique_ptr<fs::ByteReader> frame_;
  const Sha256Digest digest_;
  compression::ZstdDecompressor zstd_;
  crypto::Sha256Hasher hasher_;
  std::array<char, 64 * 1024> packed_;
  std::string_view packed_rest_;
  std::string plain_;
  std::size_t position_ = 0;
  bool ended_ = false;
};

}  // namespace

class DirectoryBlobStore::Batch final : public BlobBatch {
 public:
  explicit Batch(DirectoryBlobStore& store) : store_(store) {}

  ~Batch() override {
    for (const File& file : files_) unlinkat(store_.incoming_.get(), file.name.c_str(), 0);
  }

  absl::Status Append(const manifest::BlobPiece& piece) override {
    if (!verifier_.inside()) {
      File next{fmt::format("{}", store_.next_name_.fetch_add(1)), piece.blob.digest};
      file_ = fs::UniqueFd(openat(store_.incoming_.get(), next.name.c_str(),
                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
      if (!file_.valid()) return StorageError(errno, "create a blob");
      written_ = begun_ = 0;
      files_.push_back(std::move(next));
    }
    SLIPWAY_RETURN_IF_ERROR(
        verifier_.Accept(piece, [](std::string_view) { return absl::OkStatus(); }));
    SLIPWAY_RETURN_IF_ERROR(Write(piece.zstd));
    if (piece.last) {
      if (files_.size() <= kFewFiles) open_files_.push_back(std::move(file_));
      file_.Reset();
    }
    return absl::OkStatus();
  }

  absl::Status Commit() override {
    if (verifier_.inside()) {
      return MakeError(StatusCode::kInvalidArgument, "",
                       "the last blob of the batch is incomplete");
    }
    if (files_.empty()) return absl::OkStatus();
    SLIPWAY_RETURN_IF_ERROR(SyncContents());
    std::set<std::string> touched;
    while (!files_.empty()) {
      const File& file = files_.back();
      if (renameat(store_.incoming_.get(), file.name.c_str(), store_.blobs_.get(),
                   NameOf(file.digest).c_str()) != 0) {
        return StorageError(errno, "name a blob");
      }
      touched.insert(ShardOf(file.digest));
      files_.pop_back();
    }
    if (touched.size() > kFewFiles) return SyncFileSystem();
    for (const std::string& shard : touched) {
      const fs::UniqueFd fd(
          openat(store_.blobs_.get(), shard.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!fd.valid() || fsync(fd.get()) != 0)
        return StorageError(errno, "sync the blob directory");
    }
    return absl::OkStatus();
  }

 private:
  struct File {
    std::string name;  // in incoming/
    Sha256Digest digest;
  };

  absl::Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = write(file_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return StorageError(errno, "write a blob");
      bytes.remove_prefix(static_cast<std::size_t>(n));
      written_ += n;
    }
    if (written_ - begun_ < kWriteBackBytes) return absl::OkStatus();
    // A hint, so that the sync at the end finds little to wait for.
    (void)sync_file_range(file_.get(), begun_, written_ - begun_, SYNC_FILE_RANGE_WRITE);
    begun_ = written_;
    return absl::OkStatus();
  }

  absl::Status SyncContents() {
    if (files_.size() > kFewFiles) return SyncFileSystem();
    for (const fs::UniqueFd& file : open_files_) {
      if (fsync(file.get()) != 0) return StorageError(errno, "sync a blob");
    }
    return absl::OkStatus();
  }

  absl::Status SyncFileSystem() {
    if (syncfs(store_.incoming_.get()) == 0) return absl::OkStatus();
    return StorageError(errno, "sync the blobs");
  }

  DirectoryBlobStore& store_;
  manifest::BlobVerifier verifier_;
  fs::UniqueFd file_;  // of the blob being received
  off_t written_ = 0;  // bytes of it
  off_t begun_ = 0;    // of these are on their way to the disk
  // Not yet named: removed unless committed.
  std::vector<File> files_;
  // The first few, kept open for their fsync.
  std::vector<fs::UniqueFd> open_files_;
};

DirectoryBlobStore::DirectoryBlobStore(fs::UniqueFd incoming, fs::UniqueFd blobs)
    : incoming_(std::move(incoming)), blobs_(std::move(blobs)) {}

absl::StatusOr<std::unique_ptr<DirectoryBlobStore>> DirectoryBlobStore::Open(
    const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd root, MakeDirectory(AT_FDCWD, path));
  SLIPWAY_ASSIGN_OR_RETURN(fs::UniqueFd incoming, MakeDirectory(root.get(), "incoming"));
  SLIPWAY_RETURN_IF_ERROR(RemoveAllFiles(incoming.get()));
  SLIPWAY_ASSIGN_OR_RETURN(fs::UniqueFd blobs, MakeDirectory(root.get(), "blobs"));
  for (int i = 0; i < kShards; ++i) {
    SLIPWAY_RETURN_IF_ERROR(MakeDirectory(blobs.get(), fmt::format("{:02x}", i)).status());
  }
  // A new shard must not vanish with the power together with the first blobs in it.
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(blobs.get(), path));
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(root.get(), path));
  return std::unique_ptr<DirectoryBlobStore>(
      new DirectoryBlobStore(std::move(incoming), std::move(blobs)));
}

absl::StatusOr<std::vector<bool>> DirectoryBlobStore::Has(std::span<const Sha256Digest> digests) {
  std::vector<bool> present;
  present.reserve(digests.size());
  for (const Sha256Digest& digest : digests) {
    const bool found = faccessat(blobs_.get(), NameOf(digest).c_str(), F_OK, 0) == 0;
    if (!found && errno != ENOENT) return ErrnoError(errno, "look for a blob");
    present.push_back(found);
  }
  return present;
}

absl::StatusOr<std::unique_ptr<BlobBatch>> DirectoryBlobStore::NewBatch() {
  return std::make_unique<Batch>(*this);
}

absl::StatusOr<std::unique_ptr<fs::ByteReader>> DirectoryBlobStore::OpenFrame(
    const Sha256Digest& digest) {
  fs::UniqueFd file(
      openat(blobs_.get(), NameOf(digest).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, fmt::format("open blob {}", digest.ToString()));
  return std::make_unique<fs::FileReader>(std::move(file), digest.ToString());
}

absl::StatusOr<std::unique_ptr<fs::ByteReader>> DirectoryBlobStore::Open(
    const Sha256Digest& digest) {
  SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<fs::ByteReader> frame, OpenFrame(digest));
  return std::make_unique<VerifyingReader>(std::move(frame), digest);
}

absl::StatusOr<std::uint64_t> DirectoryBlobStore::StoredBytes(const Sha256Digest& digest) {
  struct stat facts {};
  if (fstatat(blobs_.get(), NameOf(digest).c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoError(errno, fmt::format("blob {}", digest.ToString()));
  }
  return static_cast<std::uint64_t>(facts.st_size);
}

absl::Status DirectoryBlobStore::Remove(const Sha256Digest& digest) {
  if (unlinkat(blobs_.get(), NameOf(digest).c_str(), 0) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  return ErrnoError(errno, fmt::format("remove blob {}", digest.ToString()));
}

}  // namespace slipway::artifacts
