#include "controller/cli/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "common/config/document.h"
#include "common/status/status.h"
#include "controller/cli/grammar.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// What is wrong with the command line. CLI11 asks for what is missing before it says what it did
// not understand, which is what the person typed.
std::string UsageProblem(const CLI::App& app, const CLI::ParseError& error, Text t) {
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) return error.what();
  const CLI::App* place = &app;
  std::string path;
  while (!place->get_subcommands().empty()) {
    place = place->get_subcommands().back();
    path += place->get_name() + " ";
  }
  std::vector<std::string> commands;
  for (const CLI::App* command : place->get_subcommands([](const CLI::App*) { return true; })) {
    // Groups of options have no name.
    if (!command->get_name().empty()) commands.push_back(command->get_name());
  }
  const std::string word = OneLine(left.front());
  if (commands.empty() || word.starts_with('-')) {
    return fmt::format(fmt::runtime(t("'{}' was not expected", "不应出现 '{}'")), word);
  }
  const std::string near = config::NearestWord(word, commands);
  return fmt::format(fmt::runtime(near.empty() ? t("there is no command '{}'", "没有命令 '{}'")
                                               : t("there is no command '{}'; did you mean '{}'?",
                                                   "没有命令 '{}'；您是想用 '{}' 吗？")),
                     path + word, path + near);
}

}  // namespace

int RunProgram(const std::vector<std::string>& arguments, Surroundings& surroundings) {
  const Text text(ChooseLanguage(LanguageFlag(arguments), surroundings.environment));
  Grammar grammar(text);
  try {
    // CLI11 takes them from the back.
    grammar.app().parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return grammar.app().exit(e, surroundings.out, surroundings.err);
    surroundings.err << "slipway: " << text("", "用法错误：")
                     << UsageProblem(grammar.app(), e, text) << '\n'
                     << text("  → slipway --help, or slipway COMMAND --help\n",
                             "  → slipway --help，或 slipway 命令 --help\n");
    return static_cast<int>(ExitCode::kUsage);
  }
  Session session(surroundings, text, grammar.format(), grammar.client());
  const Outcome outcome = grammar.Run(session);
  session.out.flush();
  if (outcome.ok()) return static_cast<int>(*outcome);
  const ExitCode code = ExitCodeOf(outcome.status());
  if (code != ExitCode::kInterrupted) {
    session.err << RenderError(outcome.status(), session.ErrView());
  }
  return static_cast<int>(code);
}

}  // namespace slipway::cli
