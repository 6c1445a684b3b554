#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/executor/container_engine.h"
#include "agent/runner/attempt_context.h"
#include "common/git/commit_reader.h"
#include "common/project/project_config.h"

// Images that are made of a builder image and what a commit says about its dependencies: once on
// this machine for all builds of the application that say the same.
namespace slipway::runner {

// Everything that such an image is made of.
struct ImageRecipe {
  std::string application;
  // The builder image: as slipway.yaml names it, and its id.
  std::string base;
  std::string base_id;
  project::Preparation preparation;
  // Path → bytes, of preparation.files.
  std::vector<std::pair<std::string, std::string>> files;
  // The build's, which the script gets as well.
  std::map<std::string, std::string> env;
};

// What `build`, which has a preparation, and the commit say. Reason PREPARE_FILE_MISSING: a file is
// not there, or too large; errors of CommitReader.
[[nodiscard]] absl::StatusOr<ImageRecipe> RecipeOf(const git::CommitReader& reader,
                                                   const std::string& commit,
                                                   const std::string& application,
                                                   const project::BuildConfig& build,
                                                   const std::string& base_id);

// "slipway-prepared/<application>:<hash of the recipe, but for `base` and the timeout>". Pure.
[[nodiscard]] std::string PreparedName(const ImageRecipe& recipe);

// What runs in the container, as root: installs the packages, then runs the script where the files
// are. Pure.
[[nodiscard]] std::string PrepareScript(const ImageRecipe& recipe, bool with_ca_bundle);

// The image, made first when it is not there; what happens stands in the attempt's log. Whoever
// wants the same image meanwhile waits for it. `limits`: of the container that it is made in, and
// of what it adds to the disk. kCancelled; reasons PREPARE_FAILED,
// PREPARE_TIMEOUT and DISK_LIMIT; errors of the Engine.
[[nodiscard]] absl::StatusOr<executor::ImageInfo> EnsurePrepared(
    AttemptContext& context, const ImageRecipe& recipe, const project::ResourceLimits& limits);

}  // namespace slipway::runner
