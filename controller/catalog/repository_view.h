#pragma once

#include <compare>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/git/commit_reader.h"
#include "common/project/parameters.h"

namespace slipway::catalog {

// What a fetch needs to get at a repository. What is known is kept by it: who reads with one
// credential sees nothing that was read with another.
struct Repository {
  // As given to git; may hold a user name and password.
  std::string url;
  // The application whose own credential opens it; empty: none is needed.
  std::string application{};
  // Which of the application's credentials, one after another; whatever tells them apart.
  std::string credential{};
  friend auto operator<=>(const Repository&, const Repository&) = default;
};

// A platform that slipway.yaml declares.
struct DeclaredPlatform {
  std::string name;
  std::string app_id;  // may be empty
  friend bool operator==(const DeclaredPlatform&, const DeclaredPlatform&) = default;
};

// Something that slipway.yaml lets a build be told.
struct DeclaredParameter {
  project::Parameter parameter;
  // Of a file: what there is to choose from at the default branch, some hundred at most.
  std::vector<std::string> files{};
  friend bool operator==(const DeclaredParameter&, const DeclaredParameter&) = default;
};

// A repository as it was at one moment.
struct RepositoryView {
  git::VersionList versions;
  // Empty: there is none, or which of several branches it is cannot be told.
  std::string default_branch;
  // 40 hex digits; empty: the repository has no default branch.
  std::string default_commit;
  // Of slipway.yaml at default_commit, in its order.
  std::vector<DeclaredPlatform> platforms;
  std::vector<DeclaredParameter> parameters;
  // Why there are neither.
  absl::Status platforms_problem;
  WallTime fetched_at;
};

// What is known of a repository.
struct Knowledge {
  // nullptr: nothing yet.
  std::shared_ptr<const RepositoryView> view;
  // Why the newest fetch brought nothing: REPOSITORY_… and what else git may meet.
  absl::Status problem;
  // A fetch is under way.
  bool fetching = false;
};

// Reads a bare mirror. Hostile input: everything is read up to a limit only.
[[nodiscard]] absl::StatusOr<RepositoryView> ReadView(const git::CommitReader& reader,
                                                      const git::VersionLimits& limits,
                                                      WallTime fetched_at);

}  // namespace slipway::catalog
