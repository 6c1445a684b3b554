#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

// Scripts with which a shell completes the command line, made from its grammar. Pure functions.
namespace slipway::cli {

// A flag of a command.
struct CompletedFlag {
  std::vector<std::string> names;  // "--output", "-o"
  std::string description;
  enum class Value { kNone, kText, kFile, kDirectory };
  Value value = Value::kNone;
  // All that may be said, when that is known.
  std::vector<std::string> words;
};

// What may follow one command.
struct CompletedCommand {
  std::string place;  // "" for the program, " accounts list"
  std::vector<std::pair<std::string, std::string>> commands;  // name, description
  std::vector<CompletedFlag> flags;
  // Of an argument that has no flag.
  std::vector<std::string> words;
};

// Every command of the grammar; the program itself comes first, and its flags are those of all.
[[nodiscard]] std::vector<CompletedCommand> DescribeCommands(const CLI::App& app);

// REQUIRES: `shell` is "bash", "zsh" or "fish".
[[nodiscard]] std::string RenderCompletion(const std::vector<CompletedCommand>& commands,
                                           const std::string& shell);

}  // namespace slipway::cli
