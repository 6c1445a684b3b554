#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/compression/zstd.h"
#include "common/fs/byte_reader.h"
#include "common/manifest/manifest.h"

// Products as one file that every system opens.
namespace slipway::archive {

enum class Format { kTar, kTarGz, kZip };

// The uncompressed content of a file of the manifest.
using OpenContent =
    std::function<absl::StatusOr<std::unique_ptr<fs::ByteReader>>(const manifest::Entry& entry)>;

// Streams the tree of `manifest` to `sink` as a tar (pax), compressed tar or zip file. The same
// manifest and `modified` give the same bytes (compressed ones: as long as zlib is the same):
// entries in the manifest's order, owner root, every time set to `modified`. A zip file has local
// time in it, so `modified` must be before 1979-12-31T10:00Z for bytes that do not depend on the
// machine's time zone. Every file is checked against the manifest on its way; kDataLoss
// (BLOB_CORRUPT) when its content differs, and what was written so far is of no use.
// kInvalidArgument (UNSAFE_PATH): a zip file cannot hold this name safely. Thread-safe.
absl::Status WriteArchive(const manifest::Manifest& manifest, Format format, WallTime modified,
                          const OpenContent& open, const compression::ByteSink& sink);

}  // namespace slipway::archive
