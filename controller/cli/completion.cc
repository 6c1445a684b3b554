#include "controller/cli/completion.h"

#include <fmt/format.h>

#include <set>

namespace slipway::cli {
namespace {

using Value = CompletedFlag::Value;

// "TEXT:{en,zh}" → en, zh.
std::vector<std::string> WordsOf(const std::string& type) {
  const std::size_t begin = type.find('{');
  const std::size_t end = type.find('}');
  std::vector<std::string> words;
  if (begin == std::string::npos || end == std::string::npos) return words;
  std::string word;
  for (const char c : type.substr(begin + 1, end - begin - 1) + ",") {
    if (c != ',') {
      word += c;
    } else {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

void AddOptions(const CLI::App& app, CompletedCommand& into) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (!option->nonpositional()) {
      into.words = WordsOf(type);
      continue;
    }
    CompletedFlag flag;
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    flag.description = option->get_description();
    if (option->get_items_expected_max() > 0) {
      flag.value = type == "FILE" ? Value::kFile : type == "DIR" ? Value::kDirectory : Value::kText;
      flag.words = WordsOf(type);
    }
    into.flags.push_back(std::move(flag));
  }
}

void Describe(const CLI::App& app, const std::string& place, std::vector<CompletedCommand>& all) {
  CompletedCommand command;
  command.place = place;
  AddOptions(app, command);
  const auto any = [](const CLI::App*) { return true; };
  for (const CLI::App* child : app.get_subcommands(any)) {
    if (child->get_name().empty()) {
      AddOptions(*child, command);  // a group of options
    } else {
      command.commands.emplace_back(child->get_name(), child->get_description());
    }
  }
  all.push_back(std::move(command));
  for (const CLI::App* child : app.get_subcommands(any)) {
    if (!child->get_name().empty()) Describe(*child, place + " " + child->get_name(), all);
  }
}

std::string Joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

// Flags that take the word behind them, wherever they stand.
std::vector<std::string> ValueFlags(const std::vector<CompletedCommand>& commands) {
  std::set<std::string> names;
  for (const CompletedCommand& command : commands) {
    for (const CompletedFlag& flag : command.flags) {
      if (flag.value != Value::kNone) names.insert(flag.names.begin(), flag.names.end());
    }
  }
  return {names.begin(), names.end()};
}

// In single quotes; `closed` is how the shell has one of them inside.
std::string Quoted(const std::string& text, const std::string& closed, bool backslash) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += closed;
    } else if (c == '\\' && backslash) {
      quoted += "\\\\";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}
std::string Sh(const std::string& text) { return Quoted(text, "'\\''", false); }
std::string Fish(const std::string& text) { return Quoted(text, "\\'", true); }

// "' accounts'|' accounts list'": the places of all commands below the program.
std::string Places(const std::vector<CompletedCommand>& commands, const char* separator) {
  std::vector<std::string> places;
  for (const CompletedCommand& command : commands) {
    if (!command.place.empty()) places.push_back("'" + command.place + "'");
  }
  return Joined(places, separator);
}

// "' accounts list:--lang'|…": behind which words the value of the flag stands. The program's own
// flags may stand behind any command.
std::string Behind(const CompletedCommand& command, const CompletedFlag& flag) {
  std::vector<std::string> patterns;
  for (const std::string& name : flag.names) {
    patterns.push_back(command.place.empty() ? fmt::format("*':{}'", name)
                                             : fmt::format("'{}:{}'", command.place, name));
  }
  return Joined(patterns, "|");
}

std::vector<std::string> FlagNames(const CompletedCommand& command) {
  std::vector<std::string> names;
  for (const CompletedFlag& flag : command.flags) {
    names.insert(names.end(), flag.names.begin(), flag.names.end());
  }
  return names;
}

std::string Bash(const std::vector<CompletedCommand>& commands) {
  std::string text = fmt::format(R"(# bash completion of slipway, made by `slipway completion bash`
_slipway() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
  local place='' skip='' word prefix='' words='' flags='' i
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=${{COMP_WORDS[COMP_CWORD-2]}}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    if [[ -n $skip ]]; then
      [[ $word == '=' ]] || skip=''
      continue
    fi
    case $word in
      {}) skip=1 ;;
      -*) ;;
      *) case "$place $word" in {}) place+=" $word" ;; esac ;;
    esac
  done
  COMPREPLY=()
  case "$place:$prev" in
)",
                                 Joined(ValueFlags(commands), "|"), Places(commands, "|"));
  for (const CompletedCommand& command : commands) {
    for (const CompletedFlag& flag : command.flags) {
      if (flag.value == Value::kNone) continue;
      const std::string behind = Behind(command, flag);
      if (!flag.words.empty()) {
        text += fmt::format("    {}) words='{}' ;;\n", behind, Joined(flag.words, " "));
      } else if (flag.value == Value::kFile) {
        text += fmt::format("    {}) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", behind);
      } else if (flag.value == Value::kDirectory) {
        text += fmt::format("    {}) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", behind);
      } else {
        text += fmt::format("    {}) return ;;\n", behind);
      }
    }
  }
  text += R"(  esac
  if [[ -n $words ]]; then
    [[ $cur == *,* ]] && prefix=${cur%,*},
    COMPREPLY=($(compgen -P "$prefix" -W "$words" -- "${cur##*,}"))
    return
  fi
  case $place in
)";
  for (const CompletedCommand& command : commands) {
    std::vector<std::string> words = command.words;
    for (const auto& [name, description] : command.commands) words.push_back(name);
    text += fmt::format("    '{}') words='{}' flags='{}' ;;\n", command.place, Joined(words, " "),
                        Joined(FlagNames(command), " "));
  }
  text += fmt::format(R"(  esac
  [[ $cur == -* ]] && words="$flags {}"
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _slipway slipway
)",
                      Joined(FlagNames(commands.front()), " "));
  return text;
}

// "name:description", where the name's own colons would end it.
std::string Entry(const std::string& name, const std::string& description) {
  std::string escaped;
  for (const char c : name) {
    if (c == ':') escaped += '\\';
    escaped += c;
  }
  return Sh(escaped + ":" + description);
}

std::string ZshFlags(const CompletedCommand& command) {
  std::vector<std::string> entries;
  for (const CompletedFlag& flag : command.flags) {
    for (const std::string& name : flag.names) entries.push_back(Entry(name, flag.description));
  }
  return Joined(entries, " ");
}

std::string Zsh(const std::vector<CompletedCommand>& commands) {
  std::string text = fmt::format(R"(#compdef slipway
# zsh completion of slipway, made by `slipway completion zsh`
_slipway() {{
  local place='' skip='' word prev i
  local -a values entries flags
  for ((i = 2; i < CURRENT; i++)); do
    word=${{words[i]}}
    if [[ -n $skip ]]; then
      skip=''
      continue
    fi
    case $word in
      ({}) skip=1 ;;
      (-*) ;;
      (*) case "$place $word" in ({}) place+=" $word" ;; esac ;;
    esac
  done
  prev=${{words[CURRENT-1]}}
  if [[ $PREFIX == --*=* ]]; then
    prev=${{PREFIX%%=*}}
    compset -P '*='
  fi
  case "$place:$prev" in
)",
                                 Joined(ValueFlags(commands), "|"), Places(commands, "|"));
  for (const CompletedCommand& command : commands) {
    for (const CompletedFlag& flag : command.flags) {
      if (flag.value == Value::kNone) continue;
      const std::string behind = Behind(command, flag);
      if (!flag.words.empty()) {
        text += fmt::format("    ({}) values=({}) ;;\n", behind, Joined(flag.words, " "));
      } else if (flag.value == Value::kFile) {
        text += fmt::format("    ({}) _files; return ;;\n", behind);
      } else if (flag.value == Value::kDirectory) {
        text += fmt::format("    ({}) _files -/; return ;;\n", behind);
      } else {
        text += fmt::format("    ({}) return ;;\n", behind);
      }
    }
  }
  text += R"(  esac
  if (( $#values )); then
    compset -P '*,'
    compadd -- $values
    return
  fi
  case $place in
)";
  for (const CompletedCommand& command : commands) {
    std::vector<std::string> entries = command.words;
    for (const auto& [name, description] : command.commands) {
      entries.push_back(Entry(name, description));
    }
    text += fmt::format("    ('{}') entries=({}) flags=({}) ;;\n", command.place,
                        Joined(entries, " "), ZshFlags(command));
  }
  text += fmt::format(R"(  esac
  flags+=({})
  if [[ $PREFIX == -* ]]; then
    _describe -o option flags
  else
    _describe command entries
  fi
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _slipway "$@"
else
  compdef _slipway slipway
fi
)",
                      ZshFlags(commands.front()));
  return text;
}

std::string FishFlag(const CompletedFlag& flag) {
  std::string text;
  for (const std::string& name : flag.names) {
    text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!flag.words.empty()) {
    text += fmt::format(" -x -a '{}'", Joined(flag.words, " "));
  } else if (flag.value == Value::kFile) {
    text += " -r -F";
  } else if (flag.value == Value::kDirectory) {
    text += " -x -a '(__fish_complete_directories)'";
  } else if (flag.value == Value::kText) {
    text += " -x";
  }
  return fmt::format("{} -d {}", text, Fish(flag.description));
}

std::string FishShell(const std::vector<CompletedCommand>& commands) {
  std::string text = fmt::format(R"(# fish completion of slipway, made by `slipway completion fish`
function __slipway_place
  set -l words (commandline -opc)
  set -e words[1]
  set -l place ''
  set -l skip ''
  for word in $words
    if test -n "$skip"
      set skip ''
      continue
    end
    switch $word
      case {}
        set skip 1
      case '-*'
      case '*'
        switch "$place $word"
          case {}
            set place "$place $word"
        end
    end
  end
  echo "$place"
end
function __slipway_at
  set -l place (__slipway_place)
  test "$place" = "$argv[1]"
end
complete -c slipway -f
)",
                                 Joined(ValueFlags(commands), " "), Places(commands, " "));
  for (const CompletedCommand& command : commands) {
    const std::string at =
        fmt::format("complete -c slipway -n \"__slipway_at '{}'\"", command.place);
    for (const auto& [name, description] : command.commands) {
      text += fmt::format("{} -a {} -d {}\n", at, name, Fish(description));
    }
    if (!command.words.empty()) {
      text += fmt::format("{} -a '{}'\n", at, Joined(command.words, " "));
    }
    for (const CompletedFlag& flag : command.flags) {
      text +=
          (command.place.empty() ? std::string("complete -c slipway") : at) + FishFlag(flag) + "\n";
    }
  }
  return text;
}

}  // namespace

std::vector<CompletedCommand> DescribeCommands(const CLI::App& app) {
  std::vector<CompletedCommand> all;
  Describe(app, "", all);
  return all;
}

std::string RenderCompletion(const std::vector<CompletedCommand>& commands,
                             const std::string& shell) {
  if (shell == "bash") return Bash(commands);
  return shell == "zsh" ? Zsh(commands) : FishShell(commands);
}

}  // namespace slipway::cli
