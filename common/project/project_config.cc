#include "common/project/project_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/config/document.h"
#include "common/project/paths.h"
#include "common/project/read_caches.h"
#include "common/project/read_parameters.h"
#include "common/project/read_preparation.h"
#include "common/status/status.h"

namespace slipway::project {
namespace {

using config::Document;
using config::Section;

constexpr std::array<std::string_view, 18> kOperatorKeys{
    "ca",     "ca_bundle", "certificates", "dns",     "extra_hosts", "hosts",
    "mounts", "no_proxy",  "privileged",   "proxies", "proxy",       "http_proxy",
    "user",   "volumes",   "https_proxy",  "devices", "cap_add",     "ca_file"};
constexpr std::size_t kMaxNames = 256;
constexpr std::size_t kMaxEnvValue = 32 * 1024;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsAlpha(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

template <typename First, typename Rest>
bool Matches(std::string_view text, std::size_t max, First first, Rest rest) {
  return !text.empty() && text.size() <= max && first(text.front()) &&
         std::all_of(text.begin() + 1, text.end(), rest);
}

bool IsPlatformName(std::string_view text) {
  return Matches(text, 32, IsLower, [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}
bool IsEnvName(std::string_view text) {
  return Matches(
      text, 128, [](char c) { return IsAlpha(c) || c == '_'; },
      [](char c) { return IsAlpha(c) || IsDigit(c) || c == '_'; });
}
bool IsOptionName(std::string_view text) {
  return Matches(text, 64, IsLower, [](char c) { return IsLower(c) || IsDigit(c) || c == '_'; });
}
bool IsAppId(std::string_view text) {
  const auto allowed = [](char c) {
    return IsAlpha(c) || IsDigit(c) || c == '.' || c == '_' || c == '-';
  };
  return Matches(text, 128, allowed, allowed) && text.front() != '-';
}
bool IsImage(std::string_view text) {
  return Matches(
      text, 255, [](char c) { return IsAlpha(c) || IsDigit(c); },
      [](char c) {
        return IsAlpha(c) || IsDigit(c) ||
               std::string_view("._-/:@").find(c) != std::string_view::npos;
      });
}

void RefuseOperatorKeys(Section& section) {
  for (const std::string_view key : kOperatorKeys) {
    section.Refuse(key,
                   "not allowed in slipway.yaml: proxies, hosts, certificates and the container's "
                   "rights are operator settings of the target or the agent");
  }
}

// Empty: absent, or refused with a note.
std::string ReadPath(Section& section, std::string_view key, bool may_be_tree) {
  const auto text = section.FindString(key);
  if (!text) return "";
  const auto path = NormalisePath(*text);
  if (path && (may_be_tree || *path != ".")) return *path;
  section.Fail(key,
               fmt::format("'{}' is not allowed; use a path inside the work tree, relative and "
                           "without '..'",
                           text->substr(0, 128)));
  return "";
}

void ReadEnv(Section& section, std::map<std::string, std::string>& env) {
  for (auto& [name, value] : section.GetStringMap("env")) {
    if (!IsEnvName(name)) {
      section.Fail("env", fmt::format("'{}' is not a name of a variable; use letters, digits and _",
                                      name.substr(0, 64)));
    } else if (name.starts_with("SLIPWAY_")) {
      section.Fail("env",
                   fmt::format("{}: names that begin with SLIPWAY_ belong to Slipway", name));
    } else if (value.size() > kMaxEnvValue) {
      section.Fail("env", fmt::format("{}: longer than {} bytes", name, kMaxEnvValue));
    } else {
      env.insert_or_assign(name, std::move(value));
    }
  }
  if (env.size() > kMaxNames) {
    section.Fail("env", fmt::format("more than {} variables", kMaxNames));
  }
}

void ReadLimits(Section& build, ResourceLimits& limits) {
  auto section = build.FindSection("limits");
  if (!section) return;
  constexpr std::int64_t kMiB = 1 << 20;
  limits.cpus = section->GetDouble("cpus", limits.cpus, 0.1, 256);
  limits.memory = section->GetSize("memory", limits.memory, 16 * kMiB, kMiB * kMiB);
  limits.pids = section->GetInt("pids", limits.pids, 8, 65536);
  limits.disk = section->GetSize("disk", limits.disk, kMiB, 16 * kMiB * kMiB);
}

// Reads a `build:` map over what `build` holds already.
void ReadBuild(Section& section, BuildConfig& build) {
  RefuseOperatorKeys(section);
  if (section.Has("image")) {
    build.image = section.GetString("image", "");
    if (!IsImage(build.image)) {
      section.Fail("image", "not an image name; use letters, digits and . _ - / : @");
    }
  }
  if (auto preparation = ReadPreparation(section)) build.prepare = std::move(preparation);
  const std::string script = ReadPath(section, "script", false);
  const std::string run = section.GetString("run", "");
  if (section.Has("script") && section.Has("run")) {
    section.Fail("run", "use either 'script' (a file) or 'run' (its text), not both");
  } else if (section.Has("script") || section.Has("run")) {
    build.script = script;
    build.run = run;
  }
  using std::chrono::hours;
  using std::chrono::seconds;
  build.timeout = section.GetDuration("timeout", build.timeout, seconds(1), hours(24));
  build.no_output_timeout =
      section.GetDuration("no_output_timeout", build.no_output_timeout, seconds(1), hours(24));
  const bool bridge = build.network == NetworkAccess::kBridge;
  const std::string network =
      section.GetOneOf("network", {"none", "bridge"}, bridge ? "bridge" : "none");
  build.network = network == "bridge" ? NetworkAccess::kBridge : NetworkAccess::kNone;
  ReadEnv(section, build.env);
  ReadLimits(section, build.limits);
}

void ReadPublish(Section& platform, std::map<std::string, std::string>& publish) {
  auto section = platform.FindSection("publish");
  if (!section) return;
  RefuseOperatorKeys(*section);
  for (const std::string& key : section->Keys()) {
    if (std::find(kOperatorKeys.begin(), kOperatorKeys.end(), key) != kOperatorKeys.end()) continue;
    const std::string value = section->GetString(key, "");
    if (!IsOptionName(key)) {
      section->Fail(key, "not a name of an option; use lower-case letters, digits and _");
    } else if (value.size() > 4096) {
      section->Fail(key, "longer than 4096 bytes");
    } else {
      publish.emplace(key, value);
    }
  }
  if (publish.size() > kMaxNames) platform.Fail("publish", "too many options");
}

PlatformConfig ReadPlatform(Section& section, std::string name, const BuildConfig& base,
                            CachesByName caches) {
  PlatformConfig platform;
  platform.name = std::move(name);
  platform.build = base;
  RefuseOperatorKeys(section);
  platform.app_id = section.GetString("app_id", "");
  if (!platform.app_id.empty() && !IsAppId(platform.app_id)) {
    section.Fail("app_id", "not an application id; use letters, digits and . _ -");
  }
  if (!section.Has("output")) section.Fail("output", "required: the directory that is published");
  platform.output = ReadPath(section, "output", true);
  platform.credential = ReadPath(section, "credential", false);
  ReadEnv(section, platform.build.env);
  if (auto build = section.FindSection("build")) ReadBuild(*build, platform.build);
  ReadPublish(section, platform.publish);
  ReadCaches(section, caches);
  CheckCachesAgainstOutput(section, caches, platform.output);
  for (auto& [cache_name, cache] : caches) platform.caches.push_back(std::move(cache));
  if (platform.build.image.empty() && !section.Has("build")) {
    section.Fail("build", "no image: set build.image at the top or here");
  } else if (platform.build.image.empty()) {
    section.Fail("build", "no image: set 'image' here or in build at the top");
  }
  if (platform.build.script.empty() && platform.build.run.empty()) {
    section.Fail("build", "nothing to run: set 'script' or 'run' here or in build at the top");
  }
  return platform;
}

}  // namespace

const PlatformConfig* ProjectConfig::Find(std::string_view platform) const {
  for (const PlatformConfig& known : platforms) {
    if (known.name == platform) return &known;
  }
  return nullptr;
}

std::string ProjectConfig::PlatformNames() const {
  std::string names;
  for (const PlatformConfig& platform : platforms) {
    names += (names.empty() ? "" : ", ") + platform.name;
  }
  return names;
}

absl::StatusOr<ProjectConfig> ParseProjectConfig(std::string_view text,
                                                 std::string_view file_name) {
  config::ParseLimits limits;
  limits.max_bytes = kMaxProjectConfigBytes;
  SLIPWAY_ASSIGN_OR_RETURN(auto document, Document::Parse(text, std::string(file_name), limits));
  Section root = document.Root();
  RefuseOperatorKeys(root);
  if (root.GetString("version", "") != "1") {
    root.Fail("version", "required; this Slipway reads version 1 (write 'version: 1')");
  }
  BuildConfig base;
  if (auto build = root.FindSection("build")) ReadBuild(*build, base);
  CachesByName caches;
  ReadCaches(root, caches);
  ProjectConfig project;
  project.parameters = ReadParameters(root);
  if (auto platforms = root.FindSection("platforms")) {
    for (const std::string& name : platforms->Keys()) {
      auto section = platforms->FindSection(name);
      if (!IsPlatformName(name)) {
        platforms->Fail(name, "not a platform name; use [a-z][a-z0-9-]{0,31}");
      }
      if (section) {
        project.platforms.push_back(ReadPlatform(*section, name, base, caches));
      } else if (!platforms->Has(name)) {
        platforms->Fail(name, "expected a map with at least 'output'");
      }
    }
  }
  if (!root.Has("platforms") || project.platforms.size() > kMaxNames) {
    root.Fail("platforms", "required: at least one platform, such as weixin");
  }
  SLIPWAY_RETURN_IF_ERROR(document.Finish());
  if (project.platforms.empty()) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, "CONFIG_INVALID",
        fmt::format("{}:1:1: platforms: required: at least one platform, such as weixin",
                    file_name));
  }
  return project;
}

}  // namespace slipway::project
