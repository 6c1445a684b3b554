#include "agent/runner/shared_image.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "agent/artifacts/tree_fetcher.h"
#include "agent/artifacts/tree_uploader.h"
#include "common/archive/archive_writer.h"
#include "common/archive/tar_reader.h"
#include "common/config/units.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/manifest/scan.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxDescription = std::size_t{1} << 20;
constexpr Duration kEngineTime = std::chrono::minutes(10);
constexpr char kDescription[] = "manifest.json";
constexpr char kConfig[] = "config.json";
constexpr char kLayer[] = "layer.tar";

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

absl::StatusOr<fs::UniqueFd> NewFile(const std::string& path) {
  fs::UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, path);
  return file;
}

absl::Status WriteTar(const std::string& tree, const manifest::Manifest& manifest,
                      const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd dir, fs::OpenDirectory(tree));
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd file, NewFile(path));
  return archive::WriteArchive(
      manifest, archive::Format::kTar, WallTime(),
      [&](const manifest::Entry& entry) { return manifest::OpenTreeFile(dir.get(), entry.path); },
      [&](std::string_view piece) { return fs::WriteAll(file.get(), piece, path); });
}

std::string Layers(std::size_t count) {
  json::array layers;
  // Where the Engine has a layer it never looks for its file.
  for (std::size_t i = 0; i + 1 < count; ++i) {
    layers.push_back(json::string(fmt::format("absent/{}.tar", i)));
  }
  layers.push_back(json::string(kLayer));
  return json::serialize(layers);
}

}  // namespace

absl::StatusOr<SavedImage> ReadSaved(const std::string& description, const std::string& name) {
  boost::system::error_code error;
  const json::value parsed = json::parse(description, error);
  const absl::Status strange =
      absl::InvalidArgumentError("the Engine saves images in another form");
  if (error || !parsed.is_array() || parsed.get_array().size() != 1) return strange;
  const json::value& image = parsed.get_array()[0];
  if (!image.is_object()) return strange;
  const json::value* config = image.get_object().if_contains("Config");
  const json::value* layers = image.get_object().if_contains("Layers");
  if (config == nullptr || !config->is_string() || layers == nullptr || !layers->is_array() ||
      layers->get_array().size() < 2 || !layers->get_array().back().is_string()) {
    return strange;
  }
  return SavedImage{
      .config = std::string(config->get_string()),
      .layer = std::string(layers->get_array().back().get_string()),
      .description = fmt::format(R"([{{"Config":"{}","RepoTags":["{}"],"Layers":{}}}])", kConfig,
                                 name, Layers(layers->get_array().size()))};
}

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
  SLIPWAY_RETURN_IF_ERROR(WriteTar(place / "tree", manifest, place / "image.tar"));
  SLIPWAY_RETURN_IF_ERROR(
      context.parts.engine.LoadImage(place / "image.tar", kEngineTime, context.control.token()));
  context.Say(fmt::format("took the image {} from the farm: {} in {}", name,
                          config::FormatSize(static_cast<std::int64_t>(manifest.total_bytes())),
                          HumanDuration(context.clock.Mono() - begin)));
  return true;
}

absl::Status Share(AttemptContext& context, const std::string& name) {
  if (!context.parts.share_image) return absl::OkStatus();
  const Place place(context.paths.dir);
  SLIPWAY_RETURN_IF_ERROR(context.parts.engine.SaveImage(name, place / "image.tar", kEngineTime,
                                                         context.control.token()));
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::string description,
      archive::ReadFromTar(place / "image.tar", kDescription, kMaxDescription));
  SLIPWAY_ASSIGN_OR_RETURN(const SavedImage saved, ReadSaved(description, name));
  const std::string tree = place / "tree";
  std::error_code error;
  std::filesystem::create_directory(tree, error);
  if (error) return ErrnoError(error.value(), tree);
  SLIPWAY_RETURN_IF_ERROR(
      archive::ExtractFromTar(place / "image.tar", saved.config, tree + "/" + kConfig));
  SLIPWAY_RETURN_IF_ERROR(
      archive::ExtractFromTar(place / "image.tar", saved.layer, tree + "/" + kLayer));
  {
    SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd file, NewFile(tree + "/" + kDescription));
    SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(file.get(), saved.description, kDescription));
  }
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
