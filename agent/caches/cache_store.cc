#include "agent/caches/cache_store.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/fs/boot_id.h"
#include "common/fs/directory_stream.h"
#include "common/fs/disk_usage.h"
#include "common/fs/unique_fd.h"
#include "common/git/file_support.h"
#include "common/log/log.h"
#include "common/status/status.h"

// caches/FARM/APPLICATION/NAME.KEY.BOOT.ID is a slot: a directory that is the agent's alone, with
// `data`, which a build left, and `size`, once `data` is measured and on the disk. A slot without
// `data`, or without `size` and of another life of the machine, is to be thrown away.
namespace slipway::caches {
namespace {

constexpr char kNoKey[] = "-";
constexpr std::size_t kSizeBytes = 32;

bool IsPart(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

absl::Status Check(const CacheId& id) {
  if (IsPart(id.application) && IsPart(id.name) && (id.key.empty() || IsPart(id.key))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("the words of the cache's id cannot name a directory");
}

std::string BootOfMachine() {
  const std::string id = fs::BootId().substr(0, 8);
  // Unknown: another one each time.
  return IsPart(id) ? id : NewId("").substr(0, 8);
}

bool IsDirectory(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::string> EntriesOf(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

// kNotFound; kFailedPrecondition: not a directory, empty, or not to be read.
absl::Status CheckContent(int directory, const std::string& name) {
  fs::UniqueFd opened(
      openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened.valid() && errno == ENOENT) return absl::NotFoundError("it is not there");
  if (!opened.valid()) return absl::FailedPreconditionError("it is no directory");
  const fs::DirectoryStream stream(fdopendir(opened.get()));
  if (stream == nullptr) return absl::FailedPreconditionError("it cannot be read");
  (void)opened.Release();
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view found = entry->d_name;
    if (found != "." && found != "..") return absl::OkStatus();
  }
  return absl::FailedPreconditionError("it is empty");
}

std::optional<std::int64_t> ReadSize(const std::string& slot) {
  const auto text = git::ReadWholeFile(slot + "/size", kSizeBytes);
  if (!text.ok()) return std::nullopt;
  std::int64_t bytes = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), bytes);
  if (error != std::errc() || end != text->data() + text->size() || bytes < 0) return std::nullopt;
  return bytes;
}

}  // namespace

CacheStore::CacheStore(StoreOptions options, git::Trash& trash)
    : options_(std::move(options)),
      trash_(trash),
      dir_(fmt::format("{}/caches/{}", options_.work_dir, options_.farm.value())),
      boot_(BootOfMachine()) {}

CacheStore::~CacheStore() = default;

absl::StatusOr<std::unique_ptr<CacheStore>> CacheStore::Create(StoreOptions options,
                                                               git::Trash& trash) {
  std::unique_ptr<CacheStore> store(new CacheStore(std::move(options), trash));
  SLIPWAY_RETURN_IF_ERROR(store->Load());
  if (store->options_.enabled) {
    store->settler_ =
        std::jthread([self = store.get()](const std::stop_token& stop) { self->Settle(stop); });
  }
  return store;
}

absl::Status CacheStore::Load() {
  const std::string top = options_.work_dir + "/caches";
  if (!options_.enabled) return trash_.Put(top);
  if (!IsPart(options_.farm.value())) return absl::InvalidArgumentError("no farm for the caches");
  SLIPWAY_RETURN_IF_ERROR(git::MakeDirs(dir_));
  if (chmod(top.c_str(), 0700) != 0) return ErrnoError(errno, "cannot protect " + top);
  for (const std::string& farm : EntriesOf(top)) {
    if (farm != options_.farm.value()) ThrowAway(fmt::format("{}/{}", top, farm));
  }
  std::vector<Kept> found;
  for (const std::string& application : EntriesOf(dir_)) LoadApplication(application, found);
  std::sort(found.begin(), found.end(),
            [](const Kept& a, const Kept& b) { return a.kept_at < b.kept_at; });
  const std::lock_guard lock(mu_);
  kept_ = std::move(found);
  for (const Kept& one : TakeSurplus()) ThrowAway(one.slot);
  return absl::OkStatus();
}

void CacheStore::LoadApplication(const std::string& application, std::vector<Kept>& found) {
  const std::string directory = dir_ + "/" + application;
  bool used = false;
  if (IsPart(application) && IsDirectory(directory)) {
    for (const std::string& slot : EntriesOf(directory)) {
      if (auto kept = ReadSlot(application, slot)) {
        found.push_back(*std::move(kept));
        used = true;
      } else {
        ThrowAway(fmt::format("{}/{}", directory, slot));
      }
    }
  }
  if (!used) ThrowAway(directory);
}

std::optional<CacheStore::Kept> CacheStore::ReadSlot(const std::string& application,
                                                     const std::string& slot) const {
  std::vector<std::string> parts(1);
  for (const char c : slot) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() != 4) return std::nullopt;
  Kept kept{.slot = fmt::format("{}/{}/{}", dir_, application, slot),
            .id = {.application = application,
                   .name = parts[0],
                   .key = parts[1] == kNoKey ? "" : parts[1]},
            .kept_at = {}};
  struct stat info {};
  if (lstat(kept.slot.c_str(), &info) != 0 || !IsDirectory(kept.slot + "/data")) {
    return std::nullopt;
  }
  kept.kept_at = WallTime(std::chrono::seconds(info.st_mtim.tv_sec));
  kept.bytes = ReadSize(kept.slot);
  if (!kept.bytes && parts[2] != boot_) return std::nullopt;
  return kept;
}

bool CacheStore::Has(const CacheId& id) {
  const std::lock_guard lock(mu_);
  return std::any_of(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.id == id; });
}

absl::StatusOr<Loan> CacheStore::Lend(const CacheId& id, int directory, const std::string& name,
                                      std::int64_t max_bytes) {
  Loan loan;
  for (;;) {
    Kept taken;
    {
      const std::lock_guard lock(mu_);
      const auto last =
          std::find_if(kept_.rbegin(), kept_.rend(), [&](const Kept& one) { return one.id == id; });
      if (last == kept_.rend()) return loan;
      taken = std::move(*last);
      kept_.erase(std::next(last).base());
    }
    changed_.notify_all();
    if (taken.bytes && *taken.bytes > max_bytes) {
      loan.too_large = true;
      ThrowAway(taken.slot);
      continue;
    }
    if (renameat2(AT_FDCWD, (taken.slot + "/data").c_str(), directory, name.c_str(),
                  RENAME_NOREPLACE) != 0) {
      const int error = errno;
      ThrowAway(taken.slot);
      return ErrnoError(error, "cannot lend " + taken.slot);
    }
    unlink((taken.slot + "/size").c_str());
    rmdir(taken.slot.c_str());
    return Loan{.hit = true, .bytes = taken.bytes, .kept_at = taken.kept_at};
  }
}

absl::Status CacheStore::Keep(const CacheId& id, int directory, const std::string& name,
                              Others others) {
  if (!options_.enabled) return absl::FailedPreconditionError("the agent keeps no caches");
  SLIPWAY_RETURN_IF_ERROR(Check(id));
  SLIPWAY_RETURN_IF_ERROR(CheckContent(directory, name));
  const std::string parent = dir_ + "/" + id.application;
  SLIPWAY_RETURN_IF_ERROR(git::MakeDirs(parent));
  Kept kept{.slot = fmt::format("{}/{}.{}.{}.{}", parent, id.name, id.key.empty() ? kNoKey : id.key,
                                boot_, NewId("")),
            .id = id,
            .kept_at = clock_.Wall()};
  if (mkdir(kept.slot.c_str(), 0700) != 0) return ErrnoError(errno, kept.slot);
  // Nobody but the agent can have changed it since it was looked at.
  if (renameat2(directory, name.c_str(), AT_FDCWD, (kept.slot + "/data").c_str(),
                RENAME_NOREPLACE) != 0) {
    const int error = errno;
    rmdir(kept.slot.c_str());
    return ErrnoError(error, "cannot keep " + name);
  }
  std::vector<Kept> gone;
  {
    const std::lock_guard lock(mu_);
    if (others == Others::kGo) gone = Take(id);
    last_kept_ = clock_.Mono();
    if (FindUnmeasured() == nullptr) unmeasured_since_ = last_kept_;
    kept_.push_back(std::move(kept));
    for (Kept& one : TakeSurplus()) gone.push_back(std::move(one));
  }
  changed_.notify_all();
  for (const Kept& one : gone) ThrowAway(one.slot);
  return absl::OkStatus();
}

void CacheStore::Drop(const CacheId& id) {
  std::vector<Kept> gone;
  {
    const std::lock_guard lock(mu_);
    gone = Take(id);
  }
  changed_.notify_all();
  for (const Kept& one : gone) ThrowAway(one.slot);
}

std::vector<CacheStore::Kept> CacheStore::Take(const CacheId& id) {
  const auto stay = std::stable_partition(kept_.begin(), kept_.end(),
                                          [&](const Kept& one) { return one.id != id; });
  std::vector<Kept> taken(std::make_move_iterator(stay), std::make_move_iterator(kept_.end()));
  kept_.erase(stay, kept_.end());
  return taken;
}

std::vector<KeptCache> CacheStore::ListKept() {
  const std::lock_guard lock(mu_);
  std::vector<KeptCache> list;
  for (const Kept& one : kept_) list.push_back({.path = one.slot, .last_used = one.kept_at});
  return list;
}

absl::Status CacheStore::DropKept(const std::string& path) {
  {
    const std::lock_guard lock(mu_);
    if (std::erase_if(kept_, [&](const Kept& one) { return one.slot == path; }) == 0) {
      return absl::AbortedError("the cache is used again");
    }
  }
  changed_.notify_all();
  return trash_.Put(path);
}

bool CacheStore::WaitUntilSettled(Duration timeout) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, timeout, [&] { return FindUnmeasured() == nullptr; });
}

void CacheStore::Settle(const std::stop_token& stop) {
  std::unique_lock lock(mu_);
  while (changed_.wait(lock, stop, [&] { return FindUnmeasured() != nullptr; }) &&
         !stop.stop_requested()) {
    const MonoTime quiet =
        std::min(last_kept_ + options_.quiet, unmeasured_since_ + options_.longest_wait);
    if (const MonoTime now = clock_.Mono(); last_kept_ != MonoTime() && now < quiet) {
      changed_.wait_for(lock, stop, quiet - now, [&] { return false; });
      continue;
    }
    const std::string slot = FindUnmeasured()->slot;
    lock.unlock();
    const std::string data = slot + "/data";
    const std::int64_t bytes = fs::DiskUsage(data, stop, fs::HardLinks::kWhole);
    const fs::UniqueFd opened(open(data.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // What `size` says has to be on the disk before it: a machine that goes down may lose the
    // content of files and keep their names.
    const bool written = !stop.stop_requested() && opened.valid() && syncfs(opened.get()) == 0;
    lock.lock();
    if (stop.stop_requested()) return;
    const auto measured =
        std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.slot == slot; });
    if (measured != kept_.end()) {
      measured->bytes = bytes;
      if (written) (void)git::WriteFileAtomically(slot + "/size", std::to_string(bytes));
    }
    const std::vector<Kept> surplus = TakeSurplus();
    lock.unlock();
    for (const Kept& one : surplus) {
      log::Info("cache_deleted", {{"kind", "build cache"}, {"name", one.slot}, {"why", "limit"}});
      ThrowAway(one.slot);
    }
    changed_.notify_all();
    lock.lock();
  }
}

std::vector<CacheStore::Kept> CacheStore::TakeSurplus() {
  std::vector<SizedCache> sized;
  sized.reserve(kept_.size());
  for (const Kept& one : kept_) sized.push_back({.id = one.id, .bytes = one.bytes.value_or(0)});
  std::vector<Kept> gone;
  // The last positions first, so that the others stay what they are.
  for (const std::size_t at : Surplus(sized, options_.limits)) {
    gone.push_back(std::move(kept_[at]));
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return gone;
}

CacheStore::Kept* CacheStore::FindUnmeasured() {
  const auto one = std::find_if(kept_.begin(), kept_.end(),
                                [](const Kept& kept) { return !kept.bytes.has_value(); });
  return one == kept_.end() ? nullptr : &*one;
}

void CacheStore::ThrowAway(const std::string& path) {
  if (const absl::Status gone = trash_.Put(path); !gone.ok()) {
    log::Warn("cache_not_deleted", {{"name", path}, {"why", Describe(gone)}});
  }
}

}  // namespace slipway::caches
