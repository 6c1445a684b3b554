#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/catalog/repository_view.h"
#include "controller/domain/application.h"
#include "controller/domain/repository_credential.h"
#include "controller/store/run_reader.h"
#include "slipway/v1/overview.pb.h"

// Versions of a repository as clients see them. Pure.
namespace slipway::api {

// A page of what fits a request.
struct VersionPage {
  std::vector<const git::Version*> versions;  // of the list that was given
  std::string next_page_token;                // empty: no more
  std::int64_t total = 0;                     // on all pages
};

// kInvalidArgument, reason BAD_PAGE_TOKEN or BAD_FIELD.
[[nodiscard]] absl::Status CheckRequest(const v1::ListVersionsRequest& request);
// REQUIRES: CheckRequest. A page goes on behind the version that its token names, whatever came
// meanwhile. `list` must outlive what it returns.
[[nodiscard]] absl::StatusOr<VersionPage> PageOf(const git::VersionList& list,
                                                 const v1::ListVersionsRequest& request);

[[nodiscard]] v1::Version ToProto(const git::Version& version, const catalog::RepositoryView& view);
[[nodiscard]] v1::BuiltVersion ToProto(const store::BuiltCommit& built);
[[nodiscard]] v1::RepositoryState ToProto(const catalog::Knowledge& known);

// Where the controller reads the versions of an application, with its credential if it has one.
[[nodiscard]] catalog::Repository RepositoryOf(
    const domain::Application& application,
    const std::optional<domain::RepositoryCredential>& credential);

}  // namespace slipway::api
