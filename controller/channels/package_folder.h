#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/fs/unique_fd.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/packaging/package_file.h"

namespace slipway::channels {

// A package that lies ready.
struct ReadyPackage {
  std::string file;  // its name in the folder
  Sha256Digest sha256;
  std::uint64_t bytes = 0;
};

// The folder of packages that pages offer and mails bring. Thread-safe.
class PackageFolder {
 public:
  // Makes the folder, which only its owner enters.
  [[nodiscard]] static absl::StatusOr<PackageFolder> Open(std::string path);

  // Makes the package of a product, durable on return, in the place of one that `task` made before.
  // Errors as of packaging::WritePackage, and of the disk.
  [[nodiscard]] absl::StatusOr<ReadyPackage> Make(artifacts::ArtifactArchive& archive,
                                                  const TaskId& task,
                                                  const ApplicationId& application,
                                                  const Sha256Digest& manifest,
                                                  const std::function<absl::Status()>& go_on) const;
  [[nodiscard]] std::string PathOf(const std::string& file) const { return path_ + "/" + file; }
  // For reading. kNotFound: it is gone.
  [[nodiscard]] absl::StatusOr<fs::UniqueFd> OpenFile(const std::string& file) const;
  // Deletes everything but these, and what was written within the last hour.
  void KeepOnly(const std::set<std::string>& files, WallTime now) const;

 private:
  explicit PackageFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace slipway::channels
