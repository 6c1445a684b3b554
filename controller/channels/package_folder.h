#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
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

// What is left free on the disk of packages, for everything else that is there.
inline constexpr std::uint64_t kDiskReserve = std::uint64_t{1} << 30;

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

  // The package, durable on return: one that lies there under this name, or a new one. Equal names
  // REQUIRE the same order for the same product. kResourceExhausted (PACKAGES_FULL): the disk would
  // have less than kDiskReserve left. Errors as of packaging::WritePackage, and of the disk.
  struct Wanted {
    std::string name;
    ApplicationId application;
    Sha256Digest manifest;
    const packaging::PackageOrder& order;
  };
  [[nodiscard]] absl::StatusOr<ReadyPackage> Make(artifacts::ArtifactArchive& archive,
                                                  const Wanted& wanted,
                                                  const std::function<absl::Status()>& go_on) const;
  [[nodiscard]] std::string PathOf(const std::string& file) const { return path_ + "/" + file; }
  // For reading. kNotFound: it is gone.
  [[nodiscard]] absl::StatusOr<fs::UniqueFd> OpenFile(const std::string& file) const;
  // Deletes everything but these, and what was written within the last hour.
  void KeepOnly(const std::set<std::string>& files, WallTime now) const;

 private:
  explicit PackageFolder(std::string path) : path_(std::move(path)) {}
  // What lies there under this name, which nobody deletes for an hour. kNotFound: nothing.
  [[nodiscard]] absl::StatusOr<ReadyPackage> Found(const std::string& name) const;

  std::string path_;
  // Whoever looks whether a file is young, and acts on it.
  std::shared_ptr<std::mutex> ages_ = std::make_shared<std::mutex>();
};

}  // namespace slipway::channels
