#include "agent/images/image_reference.h"

#include <algorithm>

namespace slipway::images {

std::string RegistryOf(std::string_view reference) {
  const std::size_t slash = reference.find('/');
  if (slash == std::string_view::npos) return "";
  const std::string_view first = reference.substr(0, slash);
  const bool host = first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
  return host ? std::string(first) : "";
}

bool MayPull(const PullRules& rules, std::string_view reference) {
  const std::string registry = RegistryOf(reference);
  if (rules.policy == PullPolicy::kNever) return false;
  if (rules.policy == PullPolicy::kNamed && registry.empty()) return false;
  if (rules.registries.empty()) return true;
  const std::string_view asked = registry.empty() ? std::string_view("docker.io") : registry;
  return std::find(rules.registries.begin(), rules.registries.end(), asked) !=
         rules.registries.end();
}

}  // namespace slipway::images
