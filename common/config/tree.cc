#include "common/config/tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <sstream>

#include "common/status/status.h"

namespace slipway::config::internal {
namespace {

constexpr std::string_view kReason = "CONFIG_INVALID";

// Leaves the yaml-cpp parser from inside a callback; caught in ParseTree.
struct Refused {
  int line;
  int column;
  std::string what;
};

// The tree is built from events, so that an alias is seen before anything is expanded.
class Builder final : public YAML::EventHandler {
 public:
  Builder(Node& root, int max_depth) : root_(root), max_depth_(max_depth) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    Refuse(mark, "anchors (&name) are not allowed; write the value out");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases (*name) are not allowed; write the value out");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (ExpectsKey()) Refuse(mark, "a key must be a name");
    Place(mark, Node::Kind::kNull);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    RefuseTag(mark, tag);
    // As "\0"; in C strings, values would end there.
    if (value.find('\0') != std::string::npos) Refuse(mark, "NUL is not allowed");
    if (ExpectsKey()) {
      TakeKey(mark, value);
      return;
    }
    const bool plain = tag == "?";
    const bool null = plain && (value.empty() || value == "~" || value == "null");
    Place(mark, null ? Node::Kind::kNull : Node::Kind::kScalar).scalar = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, Node::Kind::kList);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, Node::Kind::kMap);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Level {
    Node* node;
    // The key has been read, its value has not.
    bool has_key = false;
    std::set<std::string, std::less<>> keys;
  };

  [[noreturn]] static void Refuse(const YAML::Mark& mark, std::string what) {
    throw Refused{mark.line + 1, mark.column + 1, std::move(what)};
  }
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      Refuse(mark, "tags (!name) are not allowed");
    }
  }
  [[nodiscard]] bool ExpectsKey() const {
    return !open_.empty() && open_.back().node->kind == Node::Kind::kMap && !open_.back().has_key;
  }

  void TakeKey(const YAML::Mark& mark, const std::string& key) {
    Level& level = open_.back();
    if (key.empty() || key.size() > 256) Refuse(mark, "a key must have 1 to 256 bytes");
    if (!level.keys.insert(key).second) {
      Refuse(mark, fmt::format("'{}' is here twice in the same map", key));
    }
    level.node->entries.push_back({key, mark.line + 1, mark.column + 1, {}});
    level.has_key = true;
  }

  Node& Place(const YAML::Mark& mark, Node::Kind kind) {
    Node* node = &root_;
    if (!open_.empty()) {
      Level& level = open_.back();
      Node& parent = *level.node;
      if (parent.kind == Node::Kind::kMap) {
        level.has_key = false;
        Entry& entry = parent.entries.back();
        entry.value.path = parent.path.empty() ? entry.key : parent.path + "." + entry.key;
        node = &entry.value;
      } else {
        parent.entries.push_back({"", mark.line + 1, mark.column + 1, {}});
        node = &parent.entries.back().value;
        node->path = fmt::format("{}[{}]", parent.path, parent.entries.size() - 1);
      }
    }
    node->kind = kind;
    node->line = mark.line + 1;
    node->column = mark.column + 1;
    return *node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, Node::Kind kind) {
    RefuseTag(mark, tag);
    if (ExpectsKey()) Refuse(mark, "a key must be a name, not a map or a list");
    if (open_.size() >= static_cast<std::size_t>(max_depth_)) {
      Refuse(mark, fmt::format("more than {} levels inside each other", max_depth_));
    }
    open_.push_back({&Place(mark, kind), false, {}});
  }

  Node& root_;
  const int max_depth_;
  // Pointers stay good: a node's `entries` grow only while its own children are closed.
  std::vector<Level> open_;
};

struct Position {
  int line = 1;
  int column = 1;
};

Position PositionOf(std::string_view text, std::size_t offset) {
  Position at;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return at;
}

// Length of the well-formed UTF-8 sequence at the front, 0 when there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  std::size_t length = 0;
  std::uint32_t code = 0;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
    code = first & 0x1fU;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    code = first & 0x0fU;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    code = first & 0x07U;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10ffff ? 0 : length;
}

absl::Status Error(const std::string& file, int line, int column, std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, kReason, At(file, line, column, what));
}

absl::Status CheckBytes(std::string_view text, const std::string& file, const ParseLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return Error(file, 1, 1, fmt::format("larger than {} bytes", limits.max_bytes));
  }
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const bool control = (c >= 0 && c < ' ' && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
    const std::size_t length = control ? 0 : Utf8Length(text.substr(i));
    if (length == 0) {
      const Position at = PositionOf(text, i);
      return Error(file, at.line, at.column,
                   control ? "control characters are not allowed" : "this is not UTF-8 text");
    }
    i += length;
  }
  return absl::OkStatus();
}

// The scanner of yaml-cpp keeps what flow brackets open before it reports the first event, so deep
// nesting is refused before it starts. Counts brackets in comments and quotes too: no honest text
// comes near.
absl::Status CheckNesting(std::string_view text, const std::string& file) {
  constexpr int kMaxOpen = 512;
  int open = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[' || text[i] == '{') ++open;
    if (text[i] == ']' || text[i] == '}') open = std::max(0, open - 1);
    if (open > kMaxOpen) {
      const Position at = PositionOf(text, i);
      return Error(file, at.line, at.column, "too many open brackets");
    }
  }
  return absl::OkStatus();
}

// yaml-cpp ends a document at what it cannot read (a comma, a closing bracket) without taking it,
// and would begin the next one there for ever. Only these lines begin documents.
std::size_t MostDocuments(std::string_view text) {
  std::size_t most = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at);
    if (line.substr(0, 3) == "---" || line.substr(0, 3) == "...") ++most;
    const std::size_t end = line.find('\n');
    if (end == std::string_view::npos) break;
    at += end + 1;
  }
  return most;
}

absl::StatusOr<std::vector<Tree>> AllTrees(std::string_view text, const std::string& file_name,
                                           const ParseLimits& limits) {
  SLIPWAY_RETURN_IF_ERROR(CheckBytes(text, file_name, limits));
  SLIPWAY_RETURN_IF_ERROR(CheckNesting(text, file_name));
  const std::size_t most = MostDocuments(text);
  std::vector<Tree> trees;
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    for (;;) {
      Tree tree;
      tree.file_name = file_name;
      Builder builder(tree.root, limits.max_depth);
      if (!parser.HandleNextDocument(builder)) break;
      if (trees.size() == most) {
        return Error(file_name, tree.root.line, tree.root.column,
                     "not valid YAML: nothing can begin or go on like this");
      }
      trees.push_back(std::move(tree));
    }
  } catch (const Refused& refused) {
    return Error(file_name, refused.line, refused.column, refused.what);
  } catch (const YAML::Exception& error) {
    return Error(file_name, std::max(0, error.mark.line) + 1, std::max(0, error.mark.column) + 1,
                 "not valid YAML: " + error.msg);
  } catch (const std::exception& error) {
    return Error(file_name, 1, 1, fmt::format("not valid YAML: {}", error.what()));
  }
  return trees;
}

absl::Status CheckRoot(const Tree& tree) {
  if (tree.root.kind == Node::Kind::kMap) return absl::OkStatus();
  return Error(tree.file_name, tree.root.line, tree.root.column,
               "expected a map (key: value) at the top");
}

}  // namespace

std::string At(std::string_view file, int line, int column, std::string_view text) {
  std::string message = fmt::format("{}:{}:{}: ", file, line, column);
  // Quoted keys and values may hold line ends, which would look like further mistakes.
  for (const char c : text) {
    if (c == '\n') {
      message += "\\n";
    } else if ((c >= 0 && c < ' ') || c == 0x7f) {
      message += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      message += c;
    }
  }
  return message;
}

absl::StatusOr<std::vector<Tree>> ParseTrees(std::string_view text, const std::string& file_name,
                                             const ParseLimits& limits) {
  SLIPWAY_ASSIGN_OR_RETURN(std::vector<Tree> trees, AllTrees(text, file_name, limits));
  // "---" before the first document, or after the last.
  std::erase_if(trees, [](const Tree& tree) { return tree.root.kind == Node::Kind::kNull; });
  if (trees.empty()) return Error(file_name, 1, 1, "the file is empty");
  for (const Tree& tree : trees) SLIPWAY_RETURN_IF_ERROR(CheckRoot(tree));
  return trees;
}

absl::StatusOr<Tree> ParseTree(std::string_view text, const std::string& file_name,
                               const ParseLimits& limits) {
  SLIPWAY_ASSIGN_OR_RETURN(std::vector<Tree> trees, AllTrees(text, file_name, limits));
  if (trees.size() > 1) {
    return Error(file_name, trees[1].root.line, 1, "a second document (---) is not allowed");
  }
  if (trees.empty() || trees[0].root.kind == Node::Kind::kNull) {
    return Error(file_name, 1, 1, "the file is empty");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRoot(trees[0]));
  return std::move(trees[0]);
}

}  // namespace slipway::config::internal
