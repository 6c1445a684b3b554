#include "agent/runner/shared_image.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "agent/artifacts/tree_fetcher.h"
#include "agent/artifacts/tree_uploader.h"
#include "common/config/units.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/manifest/scan.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

constexpr Duration kEngineTime = std::chrono::minutes(10);

// A directory of the attempt's own, gone with this.
class Place {
 public:
  explicit Place(const std::string& parent) : path_(parent + "/shared-image") {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    std::filesystem::create_directory(path_, ignored);
  }
  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  const std::string path_;
};

}  // namespace

absl::StatusOr<bool> TakeShared(AttemptContext& context, const std::string& name) {
  if (!context.parts.find_image) return false;
  SLIPWAY_ASSIGN_OR_RETURN(const std::optional<Sha256Digest> shared,
                           context.parts.find_image(context.key, name));
  if (!shared) return false;
  const MonoTime begin = context.clock.Mono();
  const Place place(context.paths.dir);
  const std::unique_ptr<artifacts::ArtifactSource> source = context.parts.make_source(context.key);
  SLIPWAY_ASSIGN_OR_RETURN(const manifest::Manifest manifest,
                           artifacts::FetchTree(*source, *shared, place / "tree",
                                                [&](Duration d) { return context.Wait(d); }));
  SLIPWAY_RETURN_IF_ERROR(
      context.parts.engine.LoadLayer(place / "tree", name, kEngineTime, context.control.token()));
  context.Say(fmt::format("took the image {} from the farm: {} in {}", name,
                          config::FormatSize(static_cast<std::int64_t>(manifest.total_bytes())),
                          HumanDuration(context.clock.Mono() - begin)));
  return true;
}

absl::Status Share(AttemptContext& context, const std::string& name) {
  if (!context.parts.share_image) return absl::OkStatus();
  const Place place(context.paths.dir);
  const std::string tree = place / "tree";
  SLIPWAY_RETURN_IF_ERROR(
      context.parts.engine.SaveLayer(name, tree, kEngineTime, context.control.token()));
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd dir, fs::OpenDirectory(tree));
  SLIPWAY_ASSIGN_OR_RETURN(const manifest::Manifest manifest,
                           manifest::ScanTree(dir.get(), manifest::ScanOptions{}));
  const std::unique_ptr<artifacts::ArtifactSink> sink = context.parts.make_sink(context.key);
  artifacts::TreeUploader uploader(*sink, [&](Duration d) { return context.Wait(d); });
  SLIPWAY_ASSIGN_OR_RETURN(const artifacts::UploadReport sent,
                           uploader.Upload(dir.get(), manifest));
  return context.parts.share_image(context.key, name, sent.manifest);
}

}  // namespace slipway::runner
