#include "common/config/document.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>

#include "common/config/tree.h"
#include "common/config/units.h"
#include "common/status/status.h"

namespace slipway::config {
namespace {

using internal::Entry;
using internal::Node;
using internal::Tree;
using Kind = Node::Kind;

constexpr std::size_t kMaxNotes = 20;

std::string_view NameOf(Kind kind) {
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kScalar: return "a single value";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map";
  }
  return "";
}

void AddNote(Tree& tree, int line, int column, std::string_view path, std::string_view what) {
  tree.notes.push_back(
      {line, column, path.empty() ? std::string(what) : fmt::format("{}: {}", path, what)});
}

void NoteAt(Tree& tree, const Node& node, std::string_view what) {
  AddNote(tree, node.line, node.column, node.path, what);
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Damerau-Levenshtein (neighbours swapped count once), rows kept for the swap.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1,
                         last[j - 1] + static_cast<std::size_t>(a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

void NoteUnknownKeys(Tree& tree, const Node& node) {
  if (node.taken) return;
  for (const Entry& entry : node.entries) {
    if (node.kind == Kind::kMap && !node.asked.contains(entry.key)) {
      const std::vector<std::string> known(node.asked.begin(), node.asked.end());
      const std::string near = NearestWord(entry.key, known);
      const std::string hint = !near.empty()   ? fmt::format("; did you mean '{}'?", near)
                               : known.empty() ? "; no keys are allowed here"
                                               : "; allowed here: " + Join(known);
      const std::string path = node.path.empty() ? entry.key : node.path + "." + entry.key;
      AddNote(tree, entry.key_line, entry.key_column, path, "unknown key" + hint);
      continue;
    }
    NoteUnknownKeys(tree, entry.value);
  }
}

std::optional<std::int64_t> ToInt(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<double> ToDouble(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string NearestWord(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = 3;
  if (word.size() > 64) return best;
  for (const std::string& candidate : known) {
    if (candidate.size() > 64) continue;
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best_distance && distance < std::max(word.size(), candidate.size()) / 2 + 1) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

Section::Section(std::shared_ptr<Tree> tree, Node* map) : tree_(std::move(tree)), map_(map) {}

bool Section::Has(std::string_view key) const {
  return std::any_of(map_->entries.begin(), map_->entries.end(), [&](const Entry& entry) {
    return entry.key == key && entry.value.kind != Kind::kNull;
  });
}

bool Section::IsMap(std::string_view key) const {
  return std::any_of(map_->entries.begin(), map_->entries.end(), [&](const Entry& entry) {
    return entry.key == key && entry.value.kind == Kind::kMap;
  });
}

Node* Section::Find(std::string_view key) {
  map_->asked.insert(std::string(key));
  for (Entry& entry : map_->entries) {
    if (entry.key == key) return entry.value.kind == Kind::kNull ? nullptr : &entry.value;
  }
  return nullptr;
}

Node* Section::FindScalar(std::string_view key, std::string_view expected) {
  Node* node = Find(key);
  if (node == nullptr || node->kind == Kind::kScalar) return node;
  NoteAt(*tree_, *node, fmt::format("expected {}, found {}", expected, NameOf(node->kind)));
  node->taken = true;
  return nullptr;
}

std::optional<std::string> Section::FindString(std::string_view key) {
  Node* node = FindScalar(key, "a single value");
  return node == nullptr ? std::nullopt : std::optional(node->scalar);
}

std::string Section::GetString(std::string_view key, std::string fallback) {
  return FindString(key).value_or(std::move(fallback));
}

std::string Section::RequireString(std::string_view key) {
  if (!Has(key)) Fail(key, "required, but missing");
  return GetString(key, "");
}

std::string Section::GetOneOf(std::string_view key, std::initializer_list<std::string_view> allowed,
                              std::string fallback) {
  Node* node = FindScalar(key, "a single value");
  if (node == nullptr) return fallback;
  if (std::find(allowed.begin(), allowed.end(), node->scalar) != allowed.end()) return node->scalar;
  const std::vector<std::string> words(allowed.begin(), allowed.end());
  NoteAt(
      *tree_, *node,
      fmt::format("'{}' is not allowed; use one of: {}", node->scalar.substr(0, 64), Join(words)));
  return fallback;
}

bool Section::GetBool(std::string_view key, bool fallback) {
  const std::string text = GetOneOf(key, {"true", "false"}, fallback ? "true" : "false");
  return text == "true";
}

std::int64_t Section::GetInt(std::string_view key, std::int64_t fallback, std::int64_t min,
                             std::int64_t max) {
  Node* node = FindScalar(key, "a whole number");
  if (node == nullptr) return fallback;
  const auto value = ToInt(node->scalar);
  if (value && *value >= min && *value <= max) return *value;
  NoteAt(*tree_, *node,
         fmt::format("'{}' is not allowed; use a whole number from {} to {}",
                     node->scalar.substr(0, 64), min, max));
  return fallback;
}

double Section::GetDouble(std::string_view key, double fallback, double min, double max) {
  Node* node = FindScalar(key, "a number");
  if (node == nullptr) return fallback;
  const auto value = ToDouble(node->scalar);
  if (value && *value >= min && *value <= max) return *value;
  NoteAt(*tree_, *node,
         fmt::format("'{}' is not allowed; use a number from {} to {}", node->scalar.substr(0, 64),
                     min, max));
  return fallback;
}

Duration Section::GetDuration(std::string_view key, Duration fallback, Duration min, Duration max) {
  Node* node = FindScalar(key, "a duration");
  if (node == nullptr) return fallback;
  const auto value = ParseDuration(node->scalar);
  if (!value.ok()) {
    NoteAt(*tree_, *node, std::string(value.status().message()));
    return fallback;
  }
  if (*value >= min && *value <= max) return *value;
  NoteAt(*tree_, *node,
         fmt::format("'{}' is not allowed; use {} to {}", node->scalar, FormatDuration(min),
                     FormatDuration(max)));
  return fallback;
}

std::int64_t Section::GetSize(std::string_view key, std::int64_t fallback, std::int64_t min,
                              std::int64_t max) {
  Node* node = FindScalar(key, "a size");
  if (node == nullptr) return fallback;
  const auto value = ParseSize(node->scalar);
  if (!value.ok()) {
    NoteAt(*tree_, *node, std::string(value.status().message()));
    return fallback;
  }
  if (*value >= min && *value <= max) return *value;
  NoteAt(*tree_, *node,
         fmt::format("'{}' is not allowed; use {} to {}", node->scalar, FormatSize(min),
                     FormatSize(max)));
  return fallback;
}

std::vector<std::string> Section::GetStrings(std::string_view key) {
  Node* node = Find(key);
  if (node == nullptr) return {};
  if (node->kind == Kind::kScalar) return {node->scalar};
  std::vector<std::string> values;
  if (node->kind != Kind::kList) {
    NoteAt(*tree_, *node, fmt::format("expected a list, found {}", NameOf(node->kind)));
    node->taken = true;
    return values;
  }
  for (Entry& entry : node->entries) {
    if (entry.value.kind == Kind::kScalar) {
      values.push_back(entry.value.scalar);
    } else {
      NoteAt(*tree_, entry.value,
             fmt::format("expected a single value, found {}", NameOf(entry.value.kind)));
      entry.value.taken = true;
    }
  }
  return values;
}

std::map<std::string, std::string> Section::GetStringMap(std::string_view key) {
  std::map<std::string, std::string> values;
  Node* node = Find(key);
  if (node == nullptr) return values;
  node->taken = true;
  if (node->kind != Kind::kMap) {
    NoteAt(*tree_, *node, fmt::format("expected a map, found {}", NameOf(node->kind)));
    return values;
  }
  for (Entry& entry : node->entries) {
    if (entry.value.kind == Kind::kScalar || entry.value.kind == Kind::kNull) {
      values.emplace(entry.key, entry.value.scalar);
    } else {
      NoteAt(*tree_, entry.value,
             fmt::format("expected a single value, found {}", NameOf(entry.value.kind)));
      entry.value.taken = true;
    }
  }
  return values;
}

std::optional<Section> Section::FindSection(std::string_view key) {
  Node* node = Find(key);
  if (node == nullptr) return std::nullopt;
  if (node->kind == Kind::kMap) return Section(tree_, node);
  NoteAt(*tree_, *node, fmt::format("expected a map, found {}", NameOf(node->kind)));
  node->taken = true;
  return std::nullopt;
}

std::vector<Section> Section::GetSections(std::string_view key) {
  std::vector<Section> sections;
  Node* node = Find(key);
  if (node == nullptr) return sections;
  if (node->kind != Kind::kList) {
    NoteAt(*tree_, *node, fmt::format("expected a list of maps, found {}", NameOf(node->kind)));
    node->taken = true;
    return sections;
  }
  for (Entry& entry : node->entries) {
    if (entry.value.kind == Kind::kMap) {
      sections.push_back(Section(tree_, &entry.value));
    } else {
      NoteAt(*tree_, entry.value,
             fmt::format("expected a map, found {}", NameOf(entry.value.kind)));
      entry.value.taken = true;
    }
  }
  return sections;
}

std::vector<std::string> Section::Keys() const {
  std::vector<std::string> keys;
  for (const Entry& entry : map_->entries) keys.push_back(entry.key);
  return keys;
}

void Section::Fail(std::string_view key, std::string_view message) {
  map_->asked.insert(std::string(key));
  const std::string path =
      map_->path.empty() ? std::string(key) : fmt::format("{}.{}", map_->path, key);
  for (const Entry& entry : map_->entries) {
    if (entry.key == key) {
      AddNote(*tree_, entry.value.line, entry.value.column, path, message);
      return;
    }
  }
  AddNote(*tree_, map_->line, map_->column, path, message);
}

void Section::Refuse(std::string_view key, std::string_view message) {
  for (Entry& entry : map_->entries) {
    if (entry.key != key) continue;
    map_->asked.insert(std::string(key));
    entry.value.taken = true;
    const std::string path = map_->path.empty() ? entry.key : map_->path + "." + entry.key;
    AddNote(*tree_, entry.key_line, entry.key_column, path, message);
  }
}

Document::Document(std::shared_ptr<Tree> tree) : tree_(std::move(tree)) {}

void Section::IgnoreRest() { map_->taken = true; }

absl::StatusOr<Document> Document::Parse(std::string_view text, std::string file_name,
                                         const ParseLimits& limits) {
  SLIPWAY_ASSIGN_OR_RETURN(Tree tree, internal::ParseTree(text, std::move(file_name), limits));
  return Document(std::make_shared<Tree>(std::move(tree)));
}

absl::StatusOr<std::vector<Document>> Document::ParseAll(std::string_view text,
                                                         std::string file_name,
                                                         const ParseLimits& limits) {
  SLIPWAY_ASSIGN_OR_RETURN(std::vector<Tree> trees, internal::ParseTrees(text, file_name, limits));
  std::vector<Document> documents;
  for (Tree& tree : trees) documents.push_back(Document(std::make_shared<Tree>(std::move(tree))));
  return documents;
}

absl::StatusOr<Document> Document::Load(const std::string& path, const ParseLimits& limits) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoError(errno, "cannot open " + path);
  struct stat info {};
  std::string text;
  absl::Status status;
  if (fstat(fd, &info) != 0) {
    status = ErrnoError(errno, "cannot read " + path);
  } else if (!S_ISREG(info.st_mode)) {
    status = MakeError(absl::StatusCode::kInvalidArgument, "", path + " is not a regular file");
  }
  // One byte above the limit is enough for Parse to refuse the text.
  text.resize(status.ok() ? limits.max_bytes + 1 : 0);
  std::size_t size = 0;
  while (status.ok() && size < text.size()) {
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = ErrnoError(errno, "cannot read " + path);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  close(fd);
  if (!status.ok()) return status;
  return Parse(std::string_view(text).substr(0, size), path, limits);
}

Section Document::Root() { return {tree_, &tree_->root}; }

absl::Status Document::Finish() {
  NoteUnknownKeys(*tree_, tree_->root);
  auto& notes = tree_->notes;
  if (notes.empty()) return absl::OkStatus();
  std::stable_sort(notes.begin(), notes.end(), [](const auto& a, const auto& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  std::string text;
  for (std::size_t i = 0; i < std::min(notes.size(), kMaxNotes); ++i) {
    if (i > 0) text += '\n';
    text += internal::At(tree_->file_name, notes[i].line, notes[i].column, notes[i].text);
  }
  if (notes.size() > kMaxNotes) text += fmt::format("\n… and {} more", notes.size() - kMaxNotes);
  return MakeError(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID", text);
}

}  // namespace slipway::config
