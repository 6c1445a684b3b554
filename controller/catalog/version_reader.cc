#include "controller/catalog/version_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "common/git/file_support.h"
#include "common/git/repository_url.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::catalog {
namespace {

// In a mirror: when it was fetched last, in microseconds of Unix time. Only when that was without a
// credential: nothing on the disk says who may see what a credential has opened.
constexpr char kFetchedFile[] = "/slipway-fetched";

absl::Status Busy() {
  return MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                   "many repositories wait to be read", "Ask again in a few seconds.");
}

std::optional<WallTime> FetchedAt(const std::string& mirror) {
  const auto text = git::ReadWholeFile(mirror + kFetchedFile, 32);
  if (!text.ok()) return std::nullopt;
  std::int64_t micros = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), micros);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return FromUnixMicros(micros);
}

std::int64_t BytesIn(const std::string& path) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code unknown;
    if (!it->is_regular_file(unknown)) continue;
    const auto size = it->file_size(unknown);
    if (!unknown) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace

git::MirrorOptions DefaultMirrorOptions() {
  git::MirrorOptions options;
  options.program = "controller";
  options.fetch_timeout = std::chrono::minutes(2);
  return options;
}

absl::StatusOr<std::unique_ptr<VersionReader>> VersionReader::Create(VersionReaderOptions options,
                                                                     const Clock& clock) {
  // What all mirrors may have, one may.
  if (options.mirrors.max_file_bytes == 0) options.mirrors.max_file_bytes = options.max_bytes;
  SLIPWAY_ASSIGN_OR_RETURN(auto mirrors, git::MirrorCache::Create(options.mirrors));
  return std::unique_ptr<VersionReader>(
      new VersionReader(std::move(options), clock, std::move(mirrors)));
}

VersionReader::VersionReader(VersionReaderOptions options, const Clock& clock,
                             std::unique_ptr<git::MirrorCache> mirrors)
    : options_(std::move(options)),
      clock_(clock),
      mirrors_(std::move(mirrors)),
      queue_(options_.max_fetches),
      pool_(options_.max_fetches) {}

VersionReader::~VersionReader() { stop_.request_stop(); }

Knowledge VersionReader::Look(const Repository& repository) {
  const std::lock_guard lock(mu_);
  Entry& entry = entries_[repository];
  entry.asked = clock_.Mono();
  // Refused because too many wait: whoever looks next begins it.
  if (IsDueLocked(entry, options_.refresh_after)) (void)BeginLocked(repository, entry);
  Knowledge known = entry.known;
  DropSurplusLocked();
  return known;
}

void VersionReader::Ask(const Repository& repository, OnKnowledge done) {
  Knowledge known;
  {
    const std::lock_guard lock(mu_);
    Entry& entry = entries_[repository];
    entry.asked = clock_.Mono();
    bool refused = false;
    if (IsDueLocked(entry, options_.reuse)) refused = !BeginLocked(repository, entry);
    if (entry.known.fetching) {
      entry.waiting.push_back(std::move(done));
      return;
    }
    known = entry.known;
    if (refused) known.problem = Busy();
    DropSurplusLocked();
  }
  done(known);
}

bool VersionReader::IsDueLocked(const Entry& entry, Duration good_for) const {
  if (entry.known.fetching) return false;
  if (!entry.ended) return true;
  if (!entry.known.problem.ok()) good_for = std::max(good_for, options_.retry_after);
  return clock_.Mono() - *entry.ended >= good_for;
}

bool VersionReader::BeginLocked(const Repository& repository, Entry& entry) {
  if (queue_.waiting() >= options_.max_waiting) return false;
  queue_.Push(repository);
  entry.known.fetching = true;
  if (workers_ < options_.max_fetches) {
    ++workers_;
    pool_.Post([this] { Work(); });
  }
  return true;
}

void VersionReader::Work() {
  std::unique_lock lock(mu_);
  while (const std::optional<Repository> next = queue_.Take()) {
    lock.unlock();
    const absl::Status outcome = Fetch(*next);
    lock.lock();
    queue_.Ended(*next, outcome);
  }
  // What may not run now is taken by the worker whose fetch it waits for.
  --workers_;
}

void VersionReader::DropSurplusLocked() {
  while (entries_.size() > options_.max_mirrors) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.known.fetching) continue;
      if (oldest == entries_.end() || it->second.asked < oldest->second.asked) oldest = it;
    }
    if (oldest == entries_.end()) return;
    entries_.erase(oldest);
  }
}

absl::Status VersionReader::Fetch(const Repository& repository) {
  bool first = false;
  {
    const std::lock_guard lock(mu_);
    const Entry& entry = entries_[repository];
    first = !entry.known.view && !entry.ended;
  }
  // What an earlier process knew goes before what may take long.
  if (auto stored = first ? StoredView(repository) : std::nullopt) {
    const std::lock_guard lock(mu_);
    entries_[repository].known.view = std::make_shared<RepositoryView>(*std::move(stored));
  }
  absl::StatusOr<RepositoryView> view = FetchView(repository);
  Knowledge known;
  std::vector<OnKnowledge> waiting;
  {
    const std::lock_guard lock(mu_);
    Entry& entry = entries_[repository];
    entry.known.fetching = false;
    entry.known.problem = view.status();
    if (view.ok()) entry.known.view = std::make_shared<RepositoryView>(*std::move(view));
    entry.ended = clock_.Mono();
    waiting = std::move(entry.waiting);
    entry.waiting.clear();
    known = entry.known;
    DropSurplusLocked();
  }
  for (const OnKnowledge& done : waiting) done(known);
  return known.problem;
}

absl::StatusOr<RepositoryView> VersionReader::FetchView(const Repository& repository) {
  if (stop_.stop_requested()) return absl::CancelledError("the controller is being stopped");
  const git::Source source = SourceOf(repository);
  SLIPWAY_ASSIGN_OR_RETURN(const std::string mirror, mirrors_->PathOf(source));
  absl::StatusOr<RepositoryView> view;
  {
    const auto own = LockOf(mirror);
    const std::lock_guard lock(*own);
    ++fetches_;
    const bool open = IsOpen(repository);
    if (!open) unlink((mirror + kFetchedFile).c_str());
    SLIPWAY_RETURN_IF_ERROR(mirrors_->Refresh(source, stop_.get_token()));
    const auto read = [&]() -> absl::StatusOr<RepositoryView> {
      SLIPWAY_ASSIGN_OR_RETURN(const auto reader, mirrors_->Reader(source));
      return ReadView(reader, options_.limits, clock_.Wall());
    };
    view = read();
    if (view.status().code() == absl::StatusCode::kDataLoss) {
      SLIPWAY_RETURN_IF_ERROR(mirrors_->Remake(source, stop_.get_token()));
      SLIPWAY_RETURN_IF_ERROR(mirrors_->Refresh(source, stop_.get_token()));
      view = read();
    }
    if (view.ok() && open) {
      // Without it, only the next process knows less for a moment.
      (void)git::WriteFileAtomically(mirror + kFetchedFile,
                                     fmt::format("{}", ToUnixMicros(view->fetched_at)));
    }
  }
  TrimMirrors(std::filesystem::path(mirror).stem().string());
  return view;
}

git::Source VersionReader::SourceOf(const Repository& repository) const {
  if (repository.application.empty()) return repository.url;
  return {repository.url, repository.application, [this, repository](const std::stop_token&) {
            return options_.open_credential(repository.application, repository.url);
          }};
}

bool VersionReader::IsOpen(const Repository& repository) const {
  if (!repository.application.empty()) return false;
  const auto url = git::ParseRepositoryUrl(repository.url, options_.mirrors.allowed_schemes);
  return url.ok() && url->username.empty() && url->password.empty();
}

std::optional<RepositoryView> VersionReader::StoredView(const Repository& repository) {
  const auto mirror = mirrors_->PathOf(SourceOf(repository));
  if (!mirror.ok() || !IsOpen(repository)) return std::nullopt;
  const auto own = LockOf(*mirror);
  const std::lock_guard lock(*own);
  const auto fetched_at = FetchedAt(*mirror);
  if (!fetched_at) return std::nullopt;
  const auto reader = mirrors_->Reader(SourceOf(repository));
  if (!reader.ok()) return std::nullopt;
  auto view = ReadView(*reader, options_.limits, *fetched_at);
  if (!view.ok()) return std::nullopt;
  return *std::move(view);
}

std::shared_ptr<std::mutex> VersionReader::LockOf(const std::string& mirror) {
  const std::lock_guard lock(mu_);
  std::erase_if(mirror_locks_, [](const auto& one) { return one.second.use_count() == 1; });
  auto& own = mirror_locks_[mirror];
  if (!own) own = std::make_shared<std::mutex>();
  return own;
}

void VersionReader::TrimMirrors(const std::string& fetched) {
  const std::lock_guard lock(trim_mu_);
  std::vector<git::IdleMirror> mirrors = mirrors_->ListIdle(WallTime::max());
  std::sort(mirrors.begin(), mirrors.end(),
            [](const auto& one, const auto& other) { return one.last_used < other.last_used; });
  std::map<std::string, std::int64_t> sizes;
  std::int64_t bytes = 0;
  for (const git::IdleMirror& mirror : mirrors) {
    const auto known = sizes_.find(mirror.name);
    const bool measure = known == sizes_.end() || mirror.name == fetched;
    bytes += sizes[mirror.name] = measure ? BytesIn(mirror.path) : known->second;
  }
  std::size_t count = mirrors.size();
  for (const git::IdleMirror& mirror : mirrors) {
    if (count <= options_.max_mirrors && bytes <= options_.max_bytes) break;
    // In use again: it is not the one that was asked for longest ago.
    if (!mirrors_->DropIdle(mirror.name, mirror.last_used).ok()) continue;
    log::Info("mirror_dropped", {{"mirror", mirror.name}});
    --count;
    bytes -= sizes[mirror.name];
    sizes.erase(mirror.name);
  }
  sizes_ = std::move(sizes);
}

}  // namespace slipway::catalog
