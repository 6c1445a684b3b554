#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "controller/cli/commands.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// How commands are added to the command line, and what each of them does. Must not move: CLI11
// keeps pointers to it. Confined to one thread.
class Grammar {
 public:
  using Action = std::function<Outcome(Session&)>;

  explicit Grammar(Text text) : t_(text) {}
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  // Commands of commands are added after the command they belong to; the last one parsed counts.
  CLI::App* Command(CLI::App& parent, const char* name, const char* english, const char* chinese,
                    Action action = nullptr) {
    CLI::App* command = parent.add_subcommand(name, t_(english, chinese));
    command->group(t_("Commands", "命令"));
    command->get_help_ptr()->group(t_("Options", "选项"));
    if (action) {
      actions_.emplace_back(command, std::move(action));
    } else {
      command->require_subcommand(1);
    }
    return command;
  }

  // `value` must outlive it.
  template <typename Value>
  CLI::Option* Option(CLI::App* command, const char* name, Value& value, const char* english,
                      const char* chinese) {
    return command->add_option(name, value, t_(english, chinese));
  }
  CLI::Option* Flag(CLI::App* command, const char* name, bool& value, const char* english,
                    const char* chinese) {
    return command->add_flag(name, value, t_(english, chinese));
  }
  void AddLimit(CLI::App* command, int& value) {
    Option(command, "--limit", value, "At most this many (50)", "最多条数（50）")
        ->check(CLI::Range(1, 1000));
  }

  // REQUIRES: the arguments were parsed.
  Outcome RunParsed(Session& session) const {
    const auto it = std::find_if(actions_.rbegin(), actions_.rend(),
                                 [](const auto& action) { return action.first->parsed(); });
    return it->second(session);
  }

 protected:
  const Text t_;

 private:
  std::vector<std::pair<CLI::App*, Action>> actions_;
};

}  // namespace slipway::cli
