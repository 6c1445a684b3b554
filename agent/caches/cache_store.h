#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/caches/cache_limits.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/git/trash.h"

namespace slipway::caches {

struct StoreOptions {
  // Caches are in <work_dir>/caches, on one file system with the places they are lent to.
  std::string work_dir;
  FarmId farm;
  // False: nothing is lent or kept, and what is there is deleted.
  bool enabled = true;
  CacheLimits limits = {};
  // Nothing is measured before so long after the last cache came back: it would cost the builds
  // that run.
  Duration quiet = std::chrono::seconds(3);
  // But no longer than this, while builds end all the time.
  Duration longest_wait = std::chrono::seconds(30);
};

struct KeptCache {
  std::string path;
  WallTime last_used;
};

// What became of a wish for a cache.
struct Loan {
  // The directory is at its destination, and in the store no more.
  bool hit = false;
  // Of a hit; nullopt: nobody has measured it yet.
  std::optional<std::int64_t> bytes = std::nullopt;
  WallTime kept_at = {};
  // Of none: there was one, and it was thrown away.
  bool too_large = false;
};

// Directories that builds of an application leave for its next ones: npm's downloads, the folder
// node_modules. Unlike a kept work tree their content is whatever the script left, so that only
// builds of the same application get it, of the same farm, and each is lent to one build at a time.
//
// Lending and keeping are a rename each. A directory is in the store only from the end of a build
// that was allowed to leave it until the next one begins; kill -9 in between leaves it in the
// attempt's own directories, which are thrown away. After the machine went down only what had
// reached the disk by then is kept. Everything inside is hostile: nothing in it is opened but to be
// measured and deleted, both without following links.
//
// Thread-safe.
class CacheStore {
 public:
  // Throws away what other farms, and processes that were killed, have left. `trash` is on the same
  // file system and must outlive this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<CacheStore>> Create(StoreOptions options,
                                                                          git::Trash& trash);
  ~CacheStore();
  CacheStore(const CacheStore&) = delete;
  CacheStore& operator=(const CacheStore&) = delete;

  [[nodiscard]] bool enabled() const { return options_.enabled; }

  // Whether Lend may find one.
  [[nodiscard]] bool Has(const CacheId& id);
  // Moves the one that came back last to `name`, where nothing is yet, in the open directory. One
  // of more than `max_bytes` goes.
  [[nodiscard]] absl::StatusOr<Loan> Lend(const CacheId& id, int directory, const std::string& name,
                                          std::int64_t max_bytes);

  enum class Others { kStay, kGo };
  // Takes the directory `name` in the open `directory`, for the next build. Others::kGo: instead of
  // what is kept under the same id. REQUIRES: no process that can write to it is left.
  // kNotFound: there is nothing of that name. kFailedPrecondition: no directory with anything in
  // it.
  [[nodiscard]] absl::Status Keep(const CacheId& id, int directory, const std::string& name,
                                  Others others = Others::kStay);

  // Throws away what is kept under the id.
  void Drop(const CacheId& id);

  // Those not lent.
  [[nodiscard]] std::vector<KeptCache> ListKept();
  // kAborted: it is lent now, or gone.
  [[nodiscard]] absl::Status DropKept(const std::string& path);

  // Waits until all are measured, written to the disk and within the limits. False: `timeout` came
  // first.
  [[nodiscard]] bool WaitUntilSettled(Duration timeout);

 private:
  struct Kept {
    std::string slot;
    CacheId id;
    WallTime kept_at;
    std::optional<std::int64_t> bytes = std::nullopt;
  };

  CacheStore(StoreOptions options, git::Trash& trash);

  [[nodiscard]] absl::Status Load();
  void LoadApplication(const std::string& application, std::vector<Kept>& found);
  // nullopt: not to be used (any more).
  [[nodiscard]] std::optional<Kept> ReadSlot(const std::string& application,
                                             const std::string& slot) const;
  void Settle(const std::stop_token& stop);
  // REQUIRES: mu_. What is too much is no longer kept; to be thrown away by the caller.
  [[nodiscard]] std::vector<Kept> TakeSurplus();
  // REQUIRES: mu_. No longer kept; to be thrown away by the caller.
  [[nodiscard]] std::vector<Kept> Take(const CacheId& id);
  // REQUIRES: mu_. nullptr: all are measured.
  [[nodiscard]] Kept* FindUnmeasured();
  void ThrowAway(const std::string& path);

  // Constant after construction.
  const StoreOptions options_;
  git::Trash& trash_;
  const std::string dir_;
  // Says in which life of the machine a slot was made.
  const std::string boot_;
  const SystemClock clock_;

  std::mutex mu_;
  std::condition_variable_any changed_;
  // Guarded by mu_. The least recently used first.
  std::vector<Kept> kept_;
  MonoTime last_kept_;
  // Since when there has been one that is not measured.
  MonoTime unmeasured_since_;
  // Last: stops and joins before the rest goes.
  std::jthread settler_;
};

}  // namespace slipway::caches
