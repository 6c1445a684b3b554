#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/compression/zstd.h"
#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "common/manifest/manifest.h"
#include "common/manifest/scan.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {

inline manifest::BlobRef BlobOf(std::string_view content) {
  return {crypto::Sha256Of(content), content.size()};
}

inline std::string Compress(std::string_view content) {
  std::string frame;
  const auto append = [&](std::string_view bytes) {
    frame += bytes;
    return absl::OkStatus();
  };
  compression::ZstdCompressor zstd;
  zstd.Begin(content.size());
  REQUIRE_OK(zstd.Append(content, append));
  REQUIRE_OK(zstd.Finish(append));
  return frame;
}

inline absl::StatusOr<manifest::Manifest> Scan(const std::string& path,
                                               manifest::ScanOptions options = {}) {
  const auto directory = fs::OpenDirectory(path);
  REQUIRE_OK(directory);
  return manifest::ScanTree(directory->get(), options);
}

inline std::string ReadAll(fs::ByteReader& reader) {
  std::string all;
  std::vector<char> buffer(7000);
  while (true) {
    const auto n = reader.Read(buffer);
    REQUIRE_OK(n);
    if (*n == 0) return all;
    all.append(buffer.data(), *n);
  }
}

}  // namespace slipway::testing
