#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <ostream>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/cli/client.h"
#include "controller/cli/client_options.h"
#include "controller/cli/render.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// The outside of one run of the program; a test gives its own. Confined to one thread.
struct Surroundings {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  Environment environment;
  // Requested by Ctrl-C.
  std::stop_token stop;
};

// What every command has: where to print, how, and the controller. Confined to one thread.
class Session {
 public:
  Session(Surroundings& surroundings, Text language, bool as_json, ClientOptions flags,
          std::string config_file);

  std::ostream& out;
  std::ostream& err;
  const Text text;
  const bool json;
  const bool out_is_terminal;
  const bool err_is_terminal;
  const std::stop_token stop;

  [[nodiscard]] View OutView() const { return {text, out_style_, clock_.Wall()}; }
  [[nodiscard]] View ErrView() const { return {text, err_style_, clock_.Wall()}; }

  // The controller as configured; the configuration is read at the first call.
  [[nodiscard]] absl::StatusOr<const Client*> Controller();

  // One answer: as JSON when that was asked for, else as `human` says.
  template <typename Message>
  void Print(const Message& message, std::string (*human)(const Message&, const View&)) {
    if (json) {
      PrintJson(message);
    } else {
      out << human(message, OutView());
    }
  }
  void PrintJson(const google::protobuf::Message& message);

 private:
  const Environment environment_;
  const Style out_style_;
  const Style err_style_;
  const ClientOptions flags_;
  const std::string config_file_;
  const SystemClock clock_;
  std::unique_ptr<Client> client_;
};

}  // namespace slipway::cli
