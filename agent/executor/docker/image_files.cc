#include "agent/executor/docker/image_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <utility>

#include "common/archive/archive_writer.h"
#include "common/archive/tar_reader.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/manifest/scan.h"
#include "common/status/status.h"

namespace slipway::docker {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxLayers = 127;  // of overlay2
constexpr std::size_t kMaxDescription = std::size_t{1} << 20;
constexpr char kDescription[] = "manifest.json";
constexpr char kConfig[] = "config.json";
constexpr char kLayer[] = "layer.tar";

absl::StatusOr<fs::UniqueFd> NewFile(const std::string& path) {
  fs::UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, path);
  return file;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return absl::InvalidArgumentError(fmt::format("there is no {}", path));
  std::string bytes(kMaxDescription, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size, fs::ReadFull(file.get(), bytes, path));
  bytes.resize(size);
  return bytes;
}

// What `docker save` says of an image: names of files in the tar file.
struct Saved {
  std::string config;
  std::string layer;
};

absl::StatusOr<Saved> ReadSaved(const std::string& description) {
  boost::system::error_code error;
  const json::value parsed = json::parse(description, error);
  const absl::Status strange = absl::InvalidArgumentError(
      "the Engine saves images in another form, or this one has a single layer");
  if (error || !parsed.is_array() || parsed.get_array().size() != 1) return strange;
  const json::value& image = parsed.get_array()[0];
  if (!image.is_object()) return strange;
  const json::value* config = image.get_object().if_contains("Config");
  const json::value* layers = image.get_object().if_contains("Layers");
  if (config == nullptr || !config->is_string() || layers == nullptr || !layers->is_array() ||
      layers->get_array().size() < 2 || !layers->get_array().back().is_string()) {
    return strange;
  }
  return Saved{.config = std::string(config->get_string()),
               .layer = std::string(layers->get_array().back().get_string())};
}

// How many layers an image of this configuration has.
absl::StatusOr<std::size_t> CountLayers(const std::string& config) {
  boost::system::error_code error;
  const json::value parsed = json::parse(config, error);
  const json::value* layers = nullptr;
  if (!error) layers = parsed.find_pointer("/rootfs/diff_ids", error);
  if (layers == nullptr || !layers->is_array() || layers->get_array().empty() ||
      layers->get_array().size() > kMaxLayers) {
    return absl::InvalidArgumentError("not the configuration of an image");
  }
  return layers->get_array().size();
}

// What `docker load` reads first. The name is this side's word: an image may not come in under that
// of another.
std::string DescriptionOf(std::size_t count, const std::string& name) {
  json::array layers;
  // Where the Engine has a layer it never looks for its file.
  for (std::size_t i = 0; i + 1 < count; ++i) {
    layers.push_back(json::string(fmt::format("absent/{}.tar", i)));
  }
  layers.push_back(kLayer);
  return json::serialize(json::array{
      json::object{{"Config", kConfig}, {"RepoTags", {name}}, {"Layers", std::move(layers)}}});
}

}  // namespace

absl::Status CutToLastLayer(const std::string& tar, const std::string& dir) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string description,
                           archive::ReadFromTar(tar, kDescription, kMaxDescription));
  SLIPWAY_ASSIGN_OR_RETURN(const Saved saved, ReadSaved(description));
  if (mkdir(dir.c_str(), 0700) != 0) return ErrnoError(errno, dir);
  SLIPWAY_RETURN_IF_ERROR(archive::ExtractFromTar(tar, saved.config, dir + "/" + kConfig));
  return archive::ExtractFromTar(tar, saved.layer, dir + "/" + kLayer);
}

absl::Status PackForLoad(const std::string& dir, const std::string& name, const std::string& tar) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd tree, fs::OpenDirectory(dir));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string config, ReadSmallFile(dir + "/" + kConfig));
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t layers, CountLayers(config));
  const std::string path = dir + "/" + kDescription;
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd description, NewFile(path));
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(description.get(), DescriptionOf(layers, name), path));
  SLIPWAY_ASSIGN_OR_RETURN(const manifest::Manifest manifest,
                           manifest::ScanTree(tree.get(), manifest::ScanOptions{}));
  for (const manifest::Entry& entry : manifest.entries()) {
    if (entry.path != kConfig && entry.path != kLayer && entry.path != kDescription) {
      return absl::InvalidArgumentError(fmt::format("a saved image has no '{}'", entry.path));
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd file, NewFile(tar));
  return archive::WriteArchive(
      manifest, archive::Format::kTar, WallTime(),
      [&](const manifest::Entry& entry) { return manifest::OpenTreeFile(tree.get(), entry.path); },
      [&](std::string_view piece) { return fs::WriteAll(file.get(), piece, tar); });
}

}  // namespace slipway::docker
