#include "controller/cli/session.h"

#include <utility>

#include "common/status/status.h"
#include "controller/cli/format.h"

namespace slipway::cli {
namespace {

// https://no-color.org
Style StyleFor(bool terminal, const Environment& environment) {
  return Style(terminal && environment("NO_COLOR").empty() && environment("TERM") != "dumb");
}

}  // namespace

Session::Session(Surroundings& surroundings, Text language, bool as_json, ClientOptions flags,
                 std::string config_file)
    : out(surroundings.out),
      err(surroundings.err),
      text(language),
      json(as_json),
      out_is_terminal(surroundings.out_is_terminal),
      err_is_terminal(surroundings.err_is_terminal),
      stop(surroundings.stop),
      environment_(surroundings.environment),
      out_style_(StyleFor(out_is_terminal, environment_)),
      err_style_(StyleFor(err_is_terminal, environment_)),
      flags_(std::move(flags)),
      config_file_(std::move(config_file)) {}

absl::StatusOr<const Client*> Session::Controller() {
  if (!client_) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto options,
                             ResolveClientOptions(flags_, config_file_, environment_, text));
    SLIPWAY_ASSIGN_OR_RETURN(client_, Client::Make(options, text, stop));
  }
  return client_.get();
}

void Session::PrintJson(const google::protobuf::Message& message) { out << ToJson(message); }

}  // namespace slipway::cli
