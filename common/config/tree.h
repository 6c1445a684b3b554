#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/document.h"

// What a text is parsed into. Private to this library.
namespace slipway::config::internal {

struct Entry;

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  // From 1.
  int line = 1;
  int column = 1;
  // "build.limits.cpus", "agents[2].name"; empty for the root.
  std::string path;
  std::string scalar;
  // Children of a list, and values of a map.
  std::vector<Entry> entries;
  // Keys that a getter asked for; every key of `entries` must be among them at the end.
  std::set<std::string, std::less<>> asked;
  // Read as a whole, or refused: nothing below can be an unknown key.
  bool taken = false;
};

struct Entry {
  std::string key;
  int key_line = 1;
  int key_column = 1;
  Node value;
};

struct Note {
  int line;
  int column;
  std::string text;
};

struct Tree {
  std::string file_name;
  Node root;
  std::vector<Note> notes;
};

// "file:line:column: text", one line whatever `text` holds.
std::string At(std::string_view file, int line, int column, std::string_view text);

// The documents of `text`, each a tree whose root is a map; at least one. kInvalidArgument as
// Document::Parse.
absl::StatusOr<std::vector<Tree>> ParseTrees(std::string_view text, const std::string& file_name,
                                             const ParseLimits& limits);
// The same where there may be only one.
absl::StatusOr<Tree> ParseTree(std::string_view text, const std::string& file_name,
                               const ParseLimits& limits);

}  // namespace slipway::config::internal
