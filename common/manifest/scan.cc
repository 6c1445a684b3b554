#include "common/manifest/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/crypto/hash.h"
#include "common/fs/directory_stream.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::manifest {
namespace {

using absl::StatusCode;

// Each level holds a descriptor while its subdirectories are listed.
constexpr int kMaxDepth = 128;
constexpr std::size_t kFilesPerJob = 32;
constexpr std::size_t kMaxQueuedJobs = 64;
constexpr std::size_t kBufferBytes = 256 * 1024;

absl::Status Refuse(std::string_view path, std::string_view why) {
  return MakeError(StatusCode::kInvalidArgument, "ARTIFACT_REFUSED",
                   fmt::format("\"{}\" {}", Printable(path), why),
                   "Remove it at the end of the build script, or narrow the output paths.");
}

absl::Status TooLarge(std::string_view message) {
  return MakeError(
      StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE", message,
      "Narrow the output paths in slipway.yaml, or have the operator raise the limit.");
}

std::string_view KindName(mode_t mode) {
  if (S_ISSOCK(mode)) return "is a socket";
  if (S_ISFIFO(mode)) return "is a FIFO";
  return "is a device";
}

std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Some files of one directory, to be hashed.
struct Job {
  std::shared_ptr<const fs::UniqueFd> directory;
  std::vector<Entry*> files;
};

// Hashes files on its own threads. Thread-safe.
class HashPool {
 public:
  HashPool(int threads, std::uint64_t max_bytes) : max_bytes_(max_bytes) {
    for (int i = 0; i < std::max(1, threads); ++i) threads_.emplace_back([this] { Work(); });
  }
  ~HashPool() { static_cast<void>(Finish()); }
  HashPool(const HashPool&) = delete;
  HashPool& operator=(const HashPool&) = delete;

  // Waits for room. The first error of any file.
  absl::Status Add(Job job) {
    std::unique_lock lock(mu_);
    room_.wait(lock, [&] { return queue_.size() < kMaxQueuedJobs || !status_.ok(); });
    if (!status_.ok()) return status_;
    queue_.push_back(std::move(job));
    work_.notify_one();
    return absl::OkStatus();
  }

  // Waits until everything added is hashed.
  absl::Status Finish() {
    {
      const std::lock_guard lock(mu_);
      closed_ = true;
      work_.notify_all();
    }
    threads_.clear();
    return status_;
  }

 private:
  std::optional<Job> Next() {
    std::unique_lock lock(mu_);
    work_.wait(lock, [&] { return !queue_.empty() || closed_ || !status_.ok(); });
    if (queue_.empty() || !status_.ok()) return std::nullopt;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    room_.notify_one();
    return job;
  }

  void Work() {
    std::vector<char> buffer(kBufferBytes);
    crypto::Sha256Hasher hasher;
    while (const std::optional<Job> job = Next()) {
      for (Entry* entry : job->files) {
        const absl::Status status = HashFile(job->directory->get(), buffer, hasher, *entry);
        if (status.ok()) continue;
        const std::lock_guard lock(mu_);
        if (status_.ok()) status_ = status;
        work_.notify_all();
        room_.notify_all();
        return;
      }
    }
  }

  absl::Status HashFile(int directory, std::span<char> buffer, crypto::Sha256Hasher& hasher,
                        Entry& entry) {
    const std::string name(NameOf(entry.path));
    const fs::UniqueFd file(
        openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) return ErrnoError(errno, fmt::format("open {}", Printable(entry.path)));
    struct stat facts {};
    if (fstat(file.get(), &facts) != 0) {
      return ErrnoError(errno, fmt::format("stat {}", Printable(entry.path)));
    }
    if (!S_ISREG(facts.st_mode)) return Refuse(entry.path, KindName(facts.st_mode));
    entry.executable = (facts.st_mode & S_IXUSR) != 0;
    while (true) {
      SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n,
                               fs::ReadFull(file.get(), buffer, Printable(entry.path)));
      hasher.Update({buffer.data(), n});
      entry.size += n;
      if (bytes_.fetch_add(n, std::memory_order_relaxed) + n > max_bytes_) {
        return TooLarge(fmt::format("the files are larger than {} bytes together", max_bytes_));
      }
      // Less than asked for is the end: one read for a small file.
      if (n < buffer.size()) break;
    }
    entry.digest = hasher.Finish();
    return absl::OkStatus();
  }

  // Constant after construction.
  const std::uint64_t max_bytes_;
  // Own synchronisation.
  std::atomic<std::uint64_t> bytes_{0};
  // Guarded by mu_.
  std::mutex mu_;
  std::condition_variable work_;
  std::condition_variable room_;
  std::deque<Job> queue_;
  absl::Status status_;
  bool closed_ = false;
  // Joined by Finish; last, so that they start after everything they use.
  std::vector<std::jthread> threads_;
};

// Lists directories depth first and hands their files to the pool. Confined to one thread.
class Walker {
 public:
  Walker(HashPool& pool, std::size_t max_entries) : pool_(pool), max_entries_(max_entries) {}

  absl::Status Walk(fs::UniqueFd opened, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) {
      return Refuse(prefix, fmt::format("is nested deeper than {} directories", kMaxDepth));
    }
    const auto directory = std::make_shared<const fs::UniqueFd>(std::move(opened));
    SLIPWAY_ASSIGN_OR_RETURN(const std::vector<Name> names, List(directory->get(), prefix));
    Job job{directory, {}};
    std::vector<std::string> subdirectories;
    for (const Name& name : names) {
      std::string path = prefix.empty() ? name.text : prefix + "/" + name.text;
      SLIPWAY_ASSIGN_OR_RETURN(const mode_t type, TypeOf(directory->get(), name, path));
      if (S_ISDIR(type)) {
        subdirectories.push_back(name.text);
      } else if (S_ISREG(type)) {
        job.files.push_back(&entries_.emplace_back(Entry{.path = std::move(path)}));
        if (job.files.size() == kFilesPerJob) {
          SLIPWAY_RETURN_IF_ERROR(pool_.Add(std::exchange(job, Job{directory, {}})));
        }
      } else if (S_ISLNK(type)) {
        SLIPWAY_RETURN_IF_ERROR(AddSymlink(directory->get(), name.text, std::move(path)));
      } else {
        return Refuse(path, KindName(type));
      }
    }
    if (!job.files.empty()) SLIPWAY_RETURN_IF_ERROR(pool_.Add(std::move(job)));
    if (names.empty() && !prefix.empty()) {
      entries_.push_back({.path = prefix, .kind = EntryKind::kDirectory});
    }
    for (const std::string& name : subdirectories) {
      const std::string path = prefix.empty() ? name : prefix + "/" + name;
      fs::UniqueFd below(
          openat(directory->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below.valid()) return ErrnoError(errno, fmt::format("open {}", Printable(path)));
      SLIPWAY_RETURN_IF_ERROR(Walk(std::move(below), path, depth + 1));
    }
    return absl::OkStatus();
  }

  std::deque<Entry>& entries() { return entries_; }

 private:
  struct Name {
    std::string text;
    unsigned char type;  // DT_…
  };

  absl::StatusOr<std::vector<Name>> List(int directory, const std::string& prefix) {
    const std::string shown = prefix.empty() ? "the output directory" : Printable(prefix);
    fs::UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy.valid()) return ErrnoError(errno, fmt::format("open {}", shown));
    const fs::DirectoryStream stream(fdopendir(copy.get()));
    if (stream == nullptr) return ErrnoError(errno, fmt::format("list {}", shown));
    static_cast<void>(copy.Release());
    std::vector<Name> names;
    while (true) {
      errno = 0;
      const dirent* entry = readdir(stream.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++seen_ > max_entries_) {
        return TooLarge(fmt::format("more than {} files and directories", max_entries_));
      }
      names.push_back({std::string(name), entry->d_type});
    }
    if (errno != 0) return ErrnoError(errno, fmt::format("list {}", shown));
    return names;
  }

  // The directory entry knows the type on the usual file systems, which saves a stat per file.
  static absl::StatusOr<mode_t> TypeOf(int directory, const Name& name, std::string_view path) {
    if (name.type != DT_UNKNOWN) return DTTOIF(name.type);
    struct stat facts {};
    if (fstatat(directory, name.text.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, fmt::format("stat {}", Printable(path)));
    }
    return facts.st_mode & S_IFMT;
  }

  absl::Status AddSymlink(int directory, const std::string& name, std::string path) {
    std::string target(4096, '\0');
    const ssize_t size = readlinkat(directory, name.c_str(), target.data(), target.size());
    if (size < 0) return ErrnoError(errno, fmt::format("read link {}", Printable(path)));
    target.resize(static_cast<std::size_t>(size));
    entries_.push_back(
        {.path = std::move(path), .kind = EntryKind::kSymlink, .target = std::move(target)});
    return absl::OkStatus();
  }

  HashPool& pool_;
  const std::size_t max_entries_;
  std::size_t seen_ = 0;
  // Never moves its elements: jobs point at them.
  std::deque<Entry> entries_;
};

}  // namespace

absl::StatusOr<Manifest> ScanTree(int directory, const ScanOptions& options) {
  fs::UniqueFd root(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoError(errno, "open the output directory");
  HashPool pool(options.threads, options.max_bytes);
  Walker walker(pool, options.max_entries);
  const absl::Status walked = walker.Walk(std::move(root), "", 0);
  // Also when the walk failed: the threads write into the walker's entries.
  const absl::Status hashed = pool.Finish();
  SLIPWAY_RETURN_IF_ERROR(walked);
  SLIPWAY_RETURN_IF_ERROR(hashed);
  return Manifest::Create({std::make_move_iterator(walker.entries().begin()),
                           std::make_move_iterator(walker.entries().end())},
                          {.max_entries = options.max_entries});
}

absl::StatusOr<std::unique_ptr<fs::ByteReader>> OpenTreeFile(int directory, std::string_view path) {
  absl::StatusOr<fs::UniqueFd> file = fs::OpenBelow(directory, path, O_RDONLY);
  struct stat facts {};
  if (!file.ok() || fstat(file->get(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return MakeError(
        StatusCode::kAborted, "ARTIFACT_CHANGED",
        fmt::format("\"{}\" was removed or replaced while it was being archived", path));
  }
  return std::make_unique<fs::FileReader>(*std::move(file), std::string(path));
}

}  // namespace slipway::manifest
