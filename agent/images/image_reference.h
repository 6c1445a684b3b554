#pragma once

#include <string>
#include <string_view>
#include <vector>

// References of images, "registry.example.org:5000/team/name:tag". Pure.
namespace slipway::images {

// The registry that a reference names; empty for a short one, "name:tag" or "team/name".
[[nodiscard]] std::string RegistryOf(std::string_view reference);

enum class PullPolicy {
  kNever,
  // Only what names its registry. A short name would come from Docker Hub, where a stranger may own
  // it.
  kNamed,
  kAny,
};

struct PullRules {
  PullPolicy policy = PullPolicy::kNamed;
  // Registries that may be asked; empty: each one that a reference names.
  std::vector<std::string> registries = {};
};

[[nodiscard]] bool MayPull(const PullRules& rules, std::string_view reference);

}  // namespace slipway::images
