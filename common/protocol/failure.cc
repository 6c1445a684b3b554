#include "common/protocol/failure.h"

#include <array>
#include <utility>

namespace slipway::protocol {
namespace {

constexpr std::array<std::pair<FailureClass, std::string_view>, 10> kNames{{
    {FailureClass::kBuild, "build"},
    {FailureClass::kTimeout, "timeout"},
    {FailureClass::kCanceled, "canceled"},
    {FailureClass::kAgentLost, "agent_lost"},
    {FailureClass::kInfrastructure, "infrastructure"},
    {FailureClass::kPolicy, "policy"},
    {FailureClass::kCredential, "credential"},
    {FailureClass::kPlatformRefused, "platform_refused"},
    {FailureClass::kNetwork, "network"},
    {FailureClass::kPublishUnknown, "publish_unknown"},
}};

}  // namespace

std::string_view FailureClassName(FailureClass klass) {
  for (const auto& [value, name] : kNames) {
    if (value == klass) return name;
  }
  return "unspecified";
}

std::optional<FailureClass> ParseFailureClass(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace slipway::protocol
