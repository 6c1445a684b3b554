#include "controller/packaging/package_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "common/crypto/hash.h"
#include "common/status/status.h"

namespace slipway::packaging {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
// Of every file in a package: 1979-12-31. Its product may come from several builds, so none of
// their times will do, and a zip file has no time before 1980: any local time of this day is told
// as the first one it has, wherever the controller runs.
constexpr WallTime kModified{std::chrono::hours(24) * 3651};

// Gathers what comes in small pieces, and measures it on its way.
class Measure {
 public:
  explicit Measure(const compression::ByteSink& sink) : sink_(sink) {
    pending_.reserve(kPieceBytes);
  }

  absl::Status Append(std::string_view bytes) {
    hasher_.Update(bytes);
    size_ += bytes.size();
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), kPieceBytes - pending_.size());
      pending_.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      if (pending_.size() == kPieceBytes) SLIPWAY_RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }
  absl::StatusOr<PackageEnd> Finish() {
    SLIPWAY_RETURN_IF_ERROR(Flush());
    return PackageEnd{hasher_.Finish(), size_};
  }

 private:
  absl::Status Flush() {
    if (pending_.empty()) return absl::OkStatus();
    const absl::Status sent = sink_(pending_);
    pending_.clear();
    return sent;
  }

  const compression::ByteSink& sink_;
  std::string pending_;
  crypto::Sha256Hasher hasher_;
  std::uint64_t size_ = 0;
};

// A content that ends when the work is to end: a file that gets much smaller writes nothing for
// long.
class EndingReader final : public fs::ByteReader {
 public:
  EndingReader(std::unique_ptr<fs::ByteReader> content, const std::function<absl::Status()>& go_on)
      : content_(std::move(content)), go_on_(go_on) {}
  absl::StatusOr<std::size_t> Read(std::span<char> buffer) override {
    SLIPWAY_RETURN_IF_ERROR(go_on_());
    return content_->Read(buffer);
  }

 private:
  const std::unique_ptr<fs::ByteReader> content_;
  const std::function<absl::Status()>& go_on_;
};

std::string Plain(std::string_view name) {
  std::string plain(name.substr(0, 64));
  for (char& c : plain) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!good) c = '_';
  }
  if (plain.empty() || plain.front() == '.' || plain.front() == '-') plain.insert(0, "_");
  return plain;
}

}  // namespace

std::string PackageFileName(std::string_view application, std::string_view platform,
                            std::string_view version, const PackageOrder& order) {
  std::string name = Plain(application);
  for (const std::string_view part : {platform, version}) {
    if (!part.empty()) name += "-" + Plain(part);
  }
  name += order.form == archive::Format::kZip ? ".zip" : ".tar.gz";
  return order.cipher ? name + ".cms" : name;
}

absl::StatusOr<PackageEnd> WritePackage(artifacts::ArtifactArchive& archive,
                                        const ApplicationId& application,
                                        const Sha256Digest& manifest, const PackageOrder& order,
                                        const std::function<absl::Status()>& go_on,
                                        const compression::ByteSink& sink) {
  SLIPWAY_ASSIGN_OR_RETURN(const manifest::Manifest tree,
                           archive.LoadManifest(application, manifest));
  const archive::OpenContent open =
      [&](const manifest::Entry& entry) -> absl::StatusOr<std::unique_ptr<fs::ByteReader>> {
    SLIPWAY_ASSIGN_OR_RETURN(auto content, archive.OpenContent(entry.digest));
    return std::make_unique<EndingReader>(std::move(content), go_on);
  };
  Measure measure(sink);
  const compression::ByteSink measured = [&](std::string_view bytes) {
    return measure.Append(bytes);
  };
  if (!order.cipher) {
    SLIPWAY_RETURN_IF_ERROR(archive::WriteArchive(tree, order.form, kModified, open, measured));
    return measure.Finish();
  }
  SLIPWAY_ASSIGN_OR_RETURN(
      crypto::PackageSealer sealer,
      crypto::PackageSealer::Create(*order.cipher, order.recipients, measured));
  SLIPWAY_RETURN_IF_ERROR(
      archive::WriteArchive(tree, order.form, kModified, open,
                            [&](std::string_view bytes) { return sealer.Append(bytes); }));
  SLIPWAY_RETURN_IF_ERROR(sealer.Finish());
  return measure.Finish();
}

}  // namespace slipway::packaging
