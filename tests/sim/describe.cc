#include "tests/sim/describe.h"

#include <fmt/format.h>

#include <type_traits>
#include <variant>

#include "tests/sim/oracles.h"

namespace slipway::sim {
namespace {

std::string_view Name(protocol::Want want) {
  switch (want) {
    case protocol::Want::kOffer: return "offer";
    case protocol::Want::kStart: return "start";
    case protocol::Want::kKeep: return "keep";
    case protocol::Want::kCancel: return "cancel";
    case protocol::Want::kForget: return "forget";
  }
  return "?";
}

std::string OutcomeOf(const protocol::AttemptResult& result) {
  return result.ok() ? "success" : result.failure->reason;
}

}  // namespace

std::string Describe(const protocol::AgentMessage& message) {
  return std::visit(
      [](const auto& what) -> std::string {
        using Body = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<Body, protocol::Inventory>) {
          std::string text = fmt::format("Inventory {}", what.sequence);
          for (const protocol::AttemptStatus& held : what.attempts) {
            text += fmt::format(" {}:{}", NameOf(held.key), static_cast<int>(held.phase));
          }
          return text;
        } else if constexpr (std::is_same_v<Body, protocol::Accept>) {
          return "Accept " + NameOf(what.key);
        } else if constexpr (std::is_same_v<Body, protocol::Refuse>) {
          return fmt::format("Refuse {}: {}", NameOf(what.key), what.reason);
        } else if constexpr (std::is_same_v<Body, protocol::StepReport>) {
          return "StepReport " + NameOf(what.key);
        } else if constexpr (std::is_same_v<Body, protocol::ResultReport>) {
          return fmt::format("ResultReport {}: {}", NameOf(what.key), OutcomeOf(what.result));
        } else if constexpr (std::is_same_v<Body, protocol::PermitRequest>) {
          return "PermitRequest " + NameOf(what.key);
        } else {
          return fmt::format("LogChunk {} at {}, {} bytes", NameOf(what.key), what.offset,
                             what.data.size());
        }
      },
      message);
}

std::string Describe(const protocol::ControllerMessage& message) {
  const std::string text = std::visit(
      [](const auto& what) -> std::string {
        using Body = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<Body, protocol::Desired>) {
          std::string words = fmt::format("Desired, answers {}", what.answers);
          for (const protocol::DesiredAttempt& wanted : what.attempts) {
            words += fmt::format(" {}:{}", NameOf(wanted.key), Name(wanted.want));
          }
          return words;
        } else if constexpr (std::is_same_v<Body, protocol::LogAck>) {
          return fmt::format("LogAck {} received {} durable {}", NameOf(what.key), what.received,
                             what.durable);
        } else if constexpr (std::is_same_v<Body, protocol::Permit>) {
          return fmt::format("Permit {} {}", NameOf(what.key), what.nonce);
        } else {
          return fmt::format("PermitDenied {}: {}", NameOf(what.key), what.failure.reason);
        }
      },
      message.body);
  return fmt::format("[term {}] {}", message.epoch.value(), text);
}

}  // namespace slipway::sim
