#include "agent/artifacts/tree_uploader.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "common/crypto/hash.h"
#include "common/manifest/scan.h"
#include "common/status/status.h"

namespace slipway::artifacts {
namespace {

using absl::StatusCode;
using manifest::Entry;
using manifest::EntryKind;
using manifest::Manifest;

constexpr std::size_t kPieceBytes = 256 * 1024;

// The controller lost or collected a blob that it had before: planning anew mends it.
bool WantsNewPlan(const absl::Status& status) {
  const std::string reason = GetErrorInfo(status).reason;
  return reason == "BLOBS_MISSING" || reason == "BLOB_NOT_PLANNED";
}

absl::Status Changed(std::string_view path) {
  return MakeError(StatusCode::kAborted, "ARTIFACT_CHANGED",
                   fmt::format("\"{}\" changed while it was being archived", path),
                   "Let the build script end all processes that write to its output.");
}

}  // namespace

TreeUploader::TreeUploader(ArtifactSink& sink, WaitFunction wait, UploadOptions options)
    : sink_(sink), wait_(std::move(wait)), options_(options), zstd_(options.compression_level) {}

absl::StatusOr<UploadReport> TreeUploader::Upload(int directory, const Manifest& manifest) {
  const std::string encoded = manifest.Encode();
  UploadReport report;
  report.manifest = crypto::Sha256Of(encoded);
  Backoff backoff(options_.retry);
  int rounds = 0;
  while (true) {
    absl::StatusOr<std::vector<Sha256Digest>> missing = sink_.FindMissing(encoded);
    absl::Status status = missing.status();
    if (status.ok() && missing->empty()) return report;
    const std::uint64_t sent_before = report.blobs_sent;
    if (status.ok()) status = SendAll(directory, manifest, *missing, report);
    if (status.ok()) status = sink_.Finalize(report.manifest);
    if (status.ok()) return report;
    const bool stale_plan = WantsNewPlan(status) && ++rounds < options_.max_rounds;
    if (!stale_plan && !IsTransient(status)) return status;
    if (report.blobs_sent > sent_before) backoff.Reset();
    if (!wait_(backoff.Next())) {
      return MakeError(StatusCode::kCancelled, "", "the upload of the product was cancelled");
    }
  }
}

absl::Status TreeUploader::SendAll(int directory, const Manifest& manifest,
                                   std::span<const Sha256Digest> missing, UploadReport& report) {
  std::unordered_map<Sha256Digest, const Entry*, absl::Hash<Sha256Digest>> files;
  for (const Entry& entry : manifest.entries()) {
    if (entry.kind == EntryKind::kFile) files.try_emplace(entry.digest, &entry);
  }
  while (!missing.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::unique_ptr<BlobStream> stream, sink_.StartUpload());
    UploadReport batch;
    std::uint64_t bytes = 0;
    while (!missing.empty() && bytes < options_.batch_bytes &&
           batch.blobs_sent < options_.batch_blobs) {
      const auto file = files.find(missing.front());
      if (file == files.end()) {
        return MakeError(StatusCode::kInternal, "",
                         "the controller asked for a blob that is not part of the product");
      }
      SLIPWAY_RETURN_IF_ERROR(SendBlob(directory, *file->second, *stream, batch));
      bytes += file->second->size;
      missing = missing.subspan(1);
    }
    SLIPWAY_RETURN_IF_ERROR(stream->Finish());
    report.blobs_sent += batch.blobs_sent;
    report.bytes_sent += batch.bytes_sent;
  }
  return absl::OkStatus();
}

absl::Status TreeUploader::SendBlob(int directory, const Entry& file, BlobStream& stream,
                                    UploadReport& report) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::unique_ptr<fs::ByteReader> reader,
                           manifest::OpenTreeFile(directory, file.path));
  const manifest::BlobRef blob{file.digest, file.size};
  crypto::Sha256Hasher hasher;
  std::vector<char> buffer(std::min<std::uint64_t>(kPieceBytes, file.size + 1));
  std::string pending;
  const auto flush = [&](bool last) {
    report.bytes_sent += pending.size();
    const absl::Status status = stream.Write({.blob = blob, .zstd = pending, .last = last});
    pending.clear();
    return status;
  };
  const auto collect = [&](std::string_view bytes) {
    pending += bytes;
    return pending.size() < kPieceBytes ? absl::OkStatus() : flush(false);
  };
  zstd_.Begin(file.size);
  std::uint64_t size = 0;
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, reader->Read(buffer));
    size += n;
    if (size > file.size) return Changed(file.path);
    hasher.Update({buffer.data(), n});
    SLIPWAY_RETURN_IF_ERROR(zstd_.Append({buffer.data(), n}, collect));
    if (n < buffer.size()) break;
  }
  // Checked before the last piece leaves, so that the controller never takes it for complete.
  if (size != file.size || hasher.Finish() != file.digest) return Changed(file.path);
  SLIPWAY_RETURN_IF_ERROR(zstd_.Finish(collect));
  ++report.blobs_sent;
  return flush(true);
}

}  // namespace slipway::artifacts
