#include "controller/catalog/repository_view.h"

#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "common/project/project_config.h"
#include "common/status/status.h"

namespace slipway::catalog {
namespace {

// A fetch tells the commit of HEAD, not its branch: one with a usual name goes first, and else the
// only one that is there.
std::string DefaultBranch(const git::VersionList& list, const std::string& commit) {
  std::vector<std::string> there;
  for (const git::Version& version : list.versions) {
    if (!version.is_tag && version.commit.commit == commit) there.push_back(version.name);
  }
  for (const char* usual : {"main", "master", "trunk", "develop"}) {
    for (const std::string& name : there) {
      if (name == usual) return name;
    }
  }
  return there.size() == 1 ? there.front() : "";
}

// Of one parameter; of all together, and bytes of their names: every client is sent them.
constexpr std::size_t kMaxOfferedFiles = 200;
constexpr std::size_t kMaxFilesTogether = 500;
constexpr std::size_t kMaxFileBytes = std::size_t{64} << 10;

// The files that parameters of this commit offer. Folders are listed once.
class OfferedFiles {
 public:
  OfferedFiles(const git::CommitReader& reader, const std::string& commit)
      : reader_(reader), commit_(commit) {}

  absl::StatusOr<std::vector<std::string>> Below(const std::string& folder) {
    const auto [it, is_new] = listed_.try_emplace(folder);
    if (is_new) {
      auto files = reader_.ListFiles(commit_, folder, kMaxOfferedFiles);
      if (files.ok()) {
        it->second = *std::move(files);
      } else if (!absl::IsInvalidArgument(files.status())) {
        return files.status();
      }
      // Of an absurd folder nothing is offered; a file of it can be named all the same.
    }
    std::vector<std::string> offered;
    for (const std::string& file : it->second) {
      if (count_ == kMaxFilesTogether || bytes_ + file.size() > kMaxFileBytes) break;
      ++count_;
      bytes_ += file.size();
      offered.push_back(file);
    }
    return offered;
  }

 private:
  const git::CommitReader& reader_;
  const std::string& commit_;
  std::map<std::string, std::vector<std::string>> listed_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

// What slipway.yaml of the commit declares.
absl::Status ReadProject(const git::CommitReader& reader, const std::string& commit,
                         RepositoryView& view) {
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::string text,
      reader.ReadFile(commit, project::kProjectConfigFile, project::kMaxProjectConfigBytes));
  SLIPWAY_ASSIGN_OR_RETURN(const project::ProjectConfig config, project::ParseProjectConfig(text));
  for (const project::PlatformConfig& platform : config.platforms) {
    view.platforms.push_back({.name = platform.name, .app_id = platform.app_id});
  }
  OfferedFiles offered(reader, commit);
  for (const project::Parameter& parameter : config.parameters) {
    DeclaredParameter declared{.parameter = parameter};
    if (parameter.type == project::ParameterType::kFile) {
      SLIPWAY_ASSIGN_OR_RETURN(declared.files, offered.Below(parameter.under));
    }
    view.parameters.push_back(std::move(declared));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RepositoryView> ReadView(const git::CommitReader& reader,
                                        const git::VersionLimits& limits, WallTime fetched_at) {
  RepositoryView view;
  view.fetched_at = fetched_at;
  SLIPWAY_ASSIGN_OR_RETURN(view.versions, reader.ListVersions(limits));
  view.default_commit = reader.DefaultCommit();
  if (view.default_commit.empty()) {
    view.platforms_problem = MakeError(absl::StatusCode::kNotFound, "REF_UNKNOWN",
                                       "the repository has no commit on its default branch");
    return view;
  }
  view.default_branch = DefaultBranch(view.versions, view.default_commit);
  view.platforms_problem = ReadProject(reader, view.default_commit, view);
  if (view.platforms_problem.code() == absl::StatusCode::kDataLoss) return view.platforms_problem;
  return view;
}

}  // namespace slipway::catalog
