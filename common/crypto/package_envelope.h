#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/package_cms.h"

// A package's structure without its content, so that OpenSSL is given the one and fed with the
// other: it would hold all of it in memory, and opens kinds that prove nothing. Only for the .cc
// files of common/crypto.
namespace slipway::crypto::internal {

struct Envelope {
  PackageFacts facts{};
  // The same ContentInfo in DER, its encrypted content left out.
  std::string der;
  // Where in the file the pieces of the encrypted content begin.
  std::uint64_t content = 0;
  // Of the encrypted content, in bytes.
  std::uint64_t size = 0;
};

// kInvalidArgument (PACKAGE_BROKEN).
absl::StatusOr<Envelope> ReadEnvelope(int fd);

// The encrypted content of an envelope of this file. `fd` must outlive it. Confined to one thread.
class ContentReader {
 public:
  ContentReader(int fd, const Envelope& envelope)
      : fd_(fd), position_(envelope.content), left_(envelope.size) {}
  // As fs::ByteReader::Read.
  absl::StatusOr<std::size_t> Read(std::span<char> buffer);

 private:
  const int fd_;
  std::uint64_t position_;
  std::uint64_t left_;       // of the content
  std::uint64_t piece_ = 0;  // of the piece that position_ is in
};

absl::Status BrokenPackage(std::string_view why);

}  // namespace slipway::crypto::internal
