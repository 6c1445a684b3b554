#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/archive/archive_writer.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/compression/zstd.h"
#include "common/crypto/package_cms.h"
#include "controller/artifacts/artifact_archive.h"

// Archived products as one file that people can hand on, plain or encrypted.
namespace slipway::packaging {

// How a package is made.
struct PackageOrder {
  archive::Format form = archive::Format::kZip;
  // nullopt: not encrypted.
  std::optional<crypto::PackageCipher> cipher{};
  // For whom it is encrypted. REQUIRES: crypto::CheckPackageRecipients is ok when there is a
  // cipher.
  crypto::PackageRecipients recipients{};
};

// The file that came out.
struct PackageEnd {
  Sha256Digest sha256;
  std::uint64_t size = 0;
};

// "shop-weixin-1.4.2.zip", with ".cms" behind it when it is encrypted. No component has other
// characters than letters, digits, ".", "_" and "-", whatever they are called.
[[nodiscard]] std::string PackageFileName(std::string_view application, std::string_view platform,
                                          std::string_view version, const PackageOrder& order);

// Writes the product to `sink` in pieces of at most 256 KiB. The same product in the same form, not
// encrypted, is the same bytes each time. Memory is bounded: by the product's manifest, and some
// hundred KiB. `go_on` is asked before each part of a file is read; its error ends the work and is
// returned. kNotFound (NO_SUCH_ARTIFACT); kInvalidArgument (UNSAFE_PATH): not as a zip file;
// kDataLoss (BLOB_CORRUPT): what was written is of no use, as after every error. `archive` is
// thread-safe, and so is this.
[[nodiscard]] absl::StatusOr<PackageEnd> WritePackage(artifacts::ArtifactArchive& archive,
                                                      const ApplicationId& application,
                                                      const Sha256Digest& manifest,
                                                      const PackageOrder& order,
                                                      const std::function<absl::Status()>& go_on,
                                                      const compression::ByteSink& sink);

}  // namespace slipway::packaging
