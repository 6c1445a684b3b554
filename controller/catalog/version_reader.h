#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/crypto/repository_credential.h"
#include "common/git/mirror_cache.h"
#include "controller/catalog/fetch_queue.h"
#include "controller/catalog/repository_view.h"
#include "controller/work/work_pool.h"

namespace slipway::catalog {

// People wait for it, and errors speak of the controller.
[[nodiscard]] git::MirrorOptions DefaultMirrorOptions();

struct VersionReaderOptions {
  // Mirrors live under its work_dir; fetch_timeout is the longest that one fetch may take.
  git::MirrorOptions mirrors = DefaultMirrorOptions();
  // At once, of all repositories; of one server at most one less, unless it is 1.
  int max_fetches = 3;
  // Repositories whose fetch has not begun; more are answered at once with what is known.
  std::size_t max_waiting = 200;
  // Whoever asks is content with a fetch that ended this long ago.
  Duration reuse = std::chrono::seconds(5);
  // Who only looks has a fetch begun when the last one ended this long ago.
  Duration refresh_after = std::chrono::minutes(1);
  // A fetch that failed is not tried again earlier, whoever asks.
  Duration retry_after = std::chrono::seconds(15);
  // Mirrors kept on disk and views kept in memory; those asked for longest ago go.
  std::size_t max_mirrors = 200;
  std::int64_t max_bytes = std::int64_t{20} << 30;
  git::VersionLimits limits;
  // The credential of Repository::application for the server of Repository::url, right before a
  // fetch; of none, never called. May block. Thread-safe.
  std::function<absl::StatusOr<crypto::RepositoryCredential>(const std::string& application,
                                                             const std::string& url)>
      open_credential;
};

// What people may choose from: the versions of repositories, read from mirrors that are the
// controller's own.
//
// However many ask for a repository, it is fetched once at a time; what was fetched a moment ago is
// not fetched again, and what cannot be fetched now is answered as it was, with the reason. Nobody
// waits who does not want to.
//
// Thread-safe. What is handed in is called from threads of the reader's own, or at once from the
// caller's; it must not block.
class VersionReader {
 public:
  using OnKnowledge = std::function<void(const Knowledge&)>;

  // An errno status when the folder cannot be used. `clock` must outlive the reader.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<VersionReader>> Create(
      VersionReaderOptions options, const Clock& clock);
  // Ends the fetches that run; whoever waits is answered.
  ~VersionReader();
  VersionReader(const VersionReader&) = delete;
  VersionReader& operator=(const VersionReader&) = delete;

  // What is known now. Begins a fetch, behind the caller, when it may have changed.
  [[nodiscard]] Knowledge Look(const Repository& repository);
  // `done` is called once, with what the newest fetch brought.
  void Ask(const Repository& repository, OnKnowledge done);

  // Begun since the start.
  [[nodiscard]] std::uint64_t fetches() const { return fetches_; }

 private:
  struct Entry {
    Knowledge known;
    MonoTime asked;
    // When the newest fetch ended.
    std::optional<MonoTime> ended;
    std::vector<OnKnowledge> waiting;
  };

  VersionReader(VersionReaderOptions options, const Clock& clock,
                std::unique_ptr<git::MirrorCache> mirrors);

  [[nodiscard]] bool IsDueLocked(const Entry& entry, Duration good_for) const;
  // False: too many wait.
  [[nodiscard]] bool BeginLocked(const Repository& repository, Entry& entry);
  void DropSurplusLocked();
  // On a thread of the pool: fetches what may be fetched, until nothing is left.
  void Work();
  // What came of it.
  [[nodiscard]] absl::Status Fetch(const Repository& repository);
  [[nodiscard]] absl::StatusOr<RepositoryView> FetchView(const Repository& repository);
  // From the mirror as an earlier process left it; nullopt: there is none that may be shown.
  [[nodiscard]] std::optional<RepositoryView> StoredView(const Repository& repository);
  [[nodiscard]] git::Source SourceOf(const Repository& repository) const;
  // It is read without a credential.
  [[nodiscard]] bool IsOpen(const Repository& repository) const;
  [[nodiscard]] std::shared_ptr<std::mutex> LockOf(const std::string& mirror);
  void TrimMirrors(const std::string& fetched);

  // Constant after construction.
  const VersionReaderOptions options_;
  const Clock& clock_;
  // Own synchronisation.
  const std::unique_ptr<git::MirrorCache> mirrors_;
  std::atomic<std::uint64_t> fetches_ = 0;
  std::stop_source stop_;

  std::mutex mu_;
  // Guarded by mu_.
  std::map<Repository, Entry> entries_;
  FetchQueue queue_;
  int workers_ = 0;
  // One mirror may be read with several credentials: each fetches and reads by itself.
  std::map<std::string, std::shared_ptr<std::mutex>> mirror_locks_;

  std::mutex trim_mu_;
  // Guarded by trim_mu_. Bytes of each mirror by its directory's name.
  std::map<std::string, std::int64_t> sizes_;

  // Last: runs what is left before the rest goes.
  work::WorkPool pool_;
};

}  // namespace slipway::catalog
