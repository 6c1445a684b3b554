#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
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
  std::istream* in = nullptr;
  // Asks the person at the terminal for a line, which is not shown when `secret`. An error: there
  // is no terminal, or the question was not answered. Empty: there is nobody to ask.
  std::function<absl::StatusOr<std::string>(const std::string& question, bool secret)> ask = {};
};

enum class OutputFormat { kTable, kJson, kYaml };

// What every command has: where to print, how, and the controller. Confined to one thread.
class Session {
 public:
  Session(Surroundings& surroundings, Text language, OutputFormat format, ClientOptions options);

  std::ostream& out;
  std::ostream& err;
  const Text text;
  // Answers are for programs, as JSON or YAML.
  const bool as_document;
  const bool out_is_terminal;
  const bool err_is_terminal;
  const std::stop_token stop;
  const Environment environment;
  const ClientOptions flags;

  [[nodiscard]] View OutView() const { return {text, out_style_, clock_.Wall()}; }
  [[nodiscard]] View ErrView() const { return {text, err_style_, clock_.Wall()}; }

  // The controller as configured; the configuration is read at the first call.
  [[nodiscard]] absl::StatusOr<const Client*> Controller();
  // Where that is and who is asking. REQUIRES: Controller() was ok.
  [[nodiscard]] const Access& access() const { return *access_; }

  [[nodiscard]] bool can_ask() const { return static_cast<bool>(ask_); }
  // A usage error that says `instead` when there is nobody to ask.
  [[nodiscard]] absl::StatusOr<std::string> Ask(const std::string& question, bool secret,
                                                const char* instead);
  // The same for yes or no; no when the person says neither.
  [[nodiscard]] absl::StatusOr<bool> Confirm(const std::string& question, const char* instead);
  // All of standard input, at most `limit` bytes of it.
  [[nodiscard]] absl::StatusOr<std::string> ReadInput(std::size_t limit);
  // The next line of standard input, for what must not be on the command line.
  [[nodiscard]] absl::StatusOr<std::string> ReadSecretLine(const char* what);

  // One answer: as a document when that was asked for, else as `human` says.
  template <typename Message>
  void Print(const Message& message, std::string (*human)(const Message&, const View&)) {
    if (as_document) {
      PrintDocument(message);
    } else {
      out << human(message, OutView());
    }
  }
  // A command without an answer to show: `sentence` is for people only.
  void PrintDone(const google::protobuf::Message& message, const std::string& sentence);
  void PrintDocument(const google::protobuf::Message& message);
  // Alone on standard output, so that a script can take it; `about` goes beside it.
  void PrintSecret(const std::string& secret, const std::string& about);

 private:
  const OutputFormat format_;
  std::istream* const in_;
  const std::function<absl::StatusOr<std::string>(const std::string&, bool)> ask_;
  const Style out_style_;
  const Style err_style_;
  const SystemClock clock_;
  std::optional<Access> access_;
  std::unique_ptr<Client> client_;
};

}  // namespace slipway::cli
