#include "controller/cli/session.h"

#include <utility>

#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// https://no-color.org
Style StyleFor(bool terminal, const Environment& environment) {
  return Style(terminal && environment("NO_COLOR").empty() && environment("TERM") != "dumb");
}

}  // namespace

Session::Session(Surroundings& surroundings, Text language, OutputFormat format,
                 ClientOptions options)
    : out(surroundings.out),
      err(surroundings.err),
      text(language),
      as_document(format != OutputFormat::kTable),
      out_is_terminal(surroundings.out_is_terminal),
      err_is_terminal(surroundings.err_is_terminal),
      stop(surroundings.stop),
      environment(surroundings.environment),
      flags(std::move(options)),
      format_(format),
      in_(surroundings.in),
      ask_(surroundings.ask),
      out_style_(StyleFor(out_is_terminal, environment)),
      err_style_(StyleFor(err_is_terminal, environment)) {}

absl::StatusOr<const Client*> Session::Controller() {
  if (!client_) {
    SLIPWAY_ASSIGN_OR_RETURN(auto resolved, ResolveAccess(flags, environment, text));
    access_.emplace(std::move(resolved));
    client_ = Client::Make(*access_, text, stop);
  }
  return client_.get();
}

absl::StatusOr<std::string> Session::Ask(const std::string& question, bool secret,
                                         const char* instead) {
  if (!ask_) {
    return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "NO_TERMINAL",
                                text("there is no terminal to ask on", "没有可以询问的终端"),
                                instead));
  }
  out.flush();
  auto answer = ask_(OneLine(question), secret);
  if (answer.status().code() == absl::StatusCode::kInvalidArgument) {
    return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "NO_TERMINAL",
                                text("the question was not answered", "没有回答问题"), instead));
  }
  return answer;
}

absl::StatusOr<bool> Session::Confirm(const std::string& question, const char* instead) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string answer, Ask(question, false, instead));
  const std::string_view word = answer;
  return word == "y" || word == "Y" || word == "yes";
}

absl::StatusOr<std::string> Session::ReadInput(std::size_t limit) {
  std::string bytes(in_ == nullptr ? 0 : limit, '\0');
  if (in_ != nullptr) {
    in_->read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(in_->gcount()));
  }
  return bytes;
}

absl::StatusOr<std::string> Session::ReadSecretLine(const char* what) {
  std::string line;
  if (in_ != nullptr) std::getline(*in_, line);
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) {
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                  std::string(text("standard input has no line with ", "标准输入中没有")) + what));
  }
  return line;
}

void Session::PrintDocument(const google::protobuf::Message& message) {
  out << (format_ == OutputFormat::kYaml ? ToYaml(message) : ToJson(message));
}

void Session::PrintDone(const google::protobuf::Message& message, const std::string& sentence) {
  if (as_document) {
    PrintDocument(message);
  } else {
    out << sentence;
  }
}

void Session::PrintSecret(const std::string& secret, const std::string& about) {
  out << OneLine(secret) << '\n';
  out.flush();
  err << about;
}

}  // namespace slipway::cli
