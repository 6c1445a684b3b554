#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/fs/byte_reader.h"
#include "common/manifest/manifest.h"

// From a directory to its manifest. The directory may have been written by a hostile container, and
// may change meanwhile: no symlink is followed, nothing blocks, and what cannot be archived is
// refused with its path rather than left out.
namespace slipway::manifest {

struct ScanOptions {
  // Threads that read and hash, beside the calling thread, which lists directories.
  int threads = 2;
  // Sum of the sizes of all files.
  std::uint64_t max_bytes = std::uint64_t{16} << 30;
  // Files, directories and symlinks together.
  std::size_t max_entries = 1'000'000;
};

// The manifest of everything below `directory`. kInvalidArgument (ARTIFACT_REFUSED, UNSAFE_PATH):
// a socket, FIFO, device, symlink that leaves the tree, or a name that no manifest may hold;
// kResourceExhausted (ARTIFACT_TOO_LARGE, MANIFEST_TOO_LARGE): past a limit. A file with several
// hard links is a file under each name. Thread-safe.
absl::StatusOr<Manifest> ScanTree(int directory, const ScanOptions& options);

// The content of one file of a scanned tree. kAborted (ARTIFACT_CHANGED) when it is no regular file
// any more.
absl::StatusOr<std::unique_ptr<fs::ByteReader>> OpenTreeFile(int directory, std::string_view path);

}  // namespace slipway::manifest
