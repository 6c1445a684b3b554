#include "agent/executor/container_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "agent/executor/labels.h"
#include "common/status/status.h"

namespace slipway::executor {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool ConsistsOf(std::string_view text, std::string_view punctuation) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return IsAlphanumeric(c) || punctuation.find(c) != std::string_view::npos;
  });
}

// "/a/b": no empty, "." or ".." part, so that the path means what it says.
bool IsPlainAbsolutePath(std::string_view path) {
  if (path.size() < 2 || path.front() != '/' || path.find('\0') != std::string_view::npos)
    return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(part.size());
  }
  return true;
}

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

absl::Status ValidateImageName(const std::string& name) {
  if (name.empty() || name.size() > 512 || !IsAlphanumeric(name.front()) ||
      !ConsistsOf(name, "._-/:@") || name.find("..") != std::string::npos ||
      name.find("//") != std::string::npos)
    return Invalid("\"{}\" is not an image name", name.substr(0, 512));
  return absl::OkStatus();
}

absl::Status ValidateResourceName(const std::string& name) {
  if (name.size() < 2 || name.size() > 128 || !IsAlphanumeric(name.front()) ||
      !ConsistsOf(name, "_.-"))
    return Invalid("\"{}\" is not the name of a container or network", name.substr(0, 128));
  return absl::OkStatus();
}

absl::Status Validate(const ContainerSpec& spec) {
  SLIPWAY_RETURN_IF_ERROR(ValidateResourceName(spec.name));
  SLIPWAY_RETURN_IF_ERROR(ValidateImageName(spec.image));
  for (const char* label : {kLabelFarm, kLabelAgent}) {
    const auto found = spec.labels.find(label);
    if (found == spec.labels.end() || found->second.empty())
      return Invalid("container {}: label {} is missing", spec.name, label);
  }
  if (spec.argv.empty()) return Invalid("container {}: no command", spec.name);
  for (const std::string& variable : spec.env) {
    if (variable.find('=') == std::string::npos || variable.front() == '=' ||
        variable.find('\0') != std::string::npos)
      return Invalid("container {}: an environment entry is not NAME=value", spec.name);
  }
  if (!spec.working_dir.empty() && spec.working_dir != "/" &&
      !IsPlainAbsolutePath(spec.working_dir))
    return Invalid("container {}: working directory \"{}\"", spec.name, spec.working_dir);

  std::set<std::string> targets;
  const auto mount_point = [&](const std::string& path) {
    if (!IsPlainAbsolutePath(path))
      return Invalid("container {}: mount point \"{}\" is not a plain absolute path", spec.name,
                     path);
    if (!targets.insert(path).second)
      return Invalid("container {}: two mounts at {}", spec.name, path);
    return absl::OkStatus();
  };
  for (const BindMount& bind : spec.binds) {
    if (!IsPlainAbsolutePath(bind.host_path))
      return Invalid("container {}: host path \"{}\" is not a plain absolute path", spec.name,
                     bind.host_path);
    SLIPWAY_RETURN_IF_ERROR(mount_point(bind.container_path));
  }
  for (const TmpfsMount& tmpfs : spec.tmpfs) {
    SLIPWAY_RETURN_IF_ERROR(mount_point(tmpfs.container_path));
    if (tmpfs.size_bytes < 0)
      return Invalid("container {}: tmpfs {} has a negative size", spec.name, tmpfs.container_path);
  }

  const bool named =
      spec.network.kind == NetworkKind::kBridge || spec.network.kind == NetworkKind::kContainer;
  if (named) SLIPWAY_RETURN_IF_ERROR(ValidateResourceName(spec.network.name));
  // These names mean networks that EnsureNetwork did not make.
  for (const char* reserved : {"bridge", "host", "none", "default"}) {
    if (spec.network.kind == NetworkKind::kBridge && spec.network.name == reserved)
      return Invalid("container {}: network \"{}\" is not a bridge of Slipway's own", spec.name,
                     reserved);
  }
  if (spec.network.kind == NetworkKind::kContainer &&
      (!spec.extra_hosts.empty() || !spec.hostname.empty()))
    return Invalid("container {}: a shared network namespace brings its own host names", spec.name);

  if (!(spec.cpus >= 0) || spec.memory_bytes < 0 || spec.pids_limit < 0 || spec.shm_bytes < 0 ||
      spec.nofile < 0)
    return Invalid("container {}: a limit is negative", spec.name);
  for (const std::string& capability : spec.cap_add) {
    if (capability.empty() || capability == "ALL" || !ConsistsOf(capability, "_"))
      return Invalid("container {}: \"{}\" is not a capability it may have", spec.name, capability);
  }
  return absl::OkStatus();
}

}  // namespace slipway::executor
