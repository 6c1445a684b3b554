#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

// Strict reading of YAML that people write: the programs' options files and slipway.yaml. The only
// place that knows yaml-cpp.
namespace slipway::config {

namespace internal {
struct Node;
struct Tree;
}  // namespace internal

struct ParseLimits {
  // Bytes of the text.
  std::size_t max_bytes = 256 * 1024;
  // Levels of maps and lists inside each other.
  int max_depth = 16;
};

// One map of a document, read key by key.
//
// Every getter declares its key: what no getter asked for is an unknown key when the document is
// finished. Getters never fail: a wrong value is noted with file, line, column and key path, and
// the fallback is returned, so that one reading finds every mistake. An absent key, and a key with
// nothing behind the colon, give the fallback.
//
// Cheap to copy; shares the tree with its Document and keeps it alive. Thread-compatible.
class Section {
 public:
  [[nodiscard]] bool Has(std::string_view key) const;
  // It is there, and a map of further keys. Does not declare the key.
  [[nodiscard]] bool IsMap(std::string_view key) const;

  [[nodiscard]] std::optional<std::string> FindString(std::string_view key);
  [[nodiscard]] std::string GetString(std::string_view key, std::string fallback);
  // Notes "required" when the key is absent.
  [[nodiscard]] std::string RequireString(std::string_view key);
  // One of `allowed`.
  [[nodiscard]] std::string GetOneOf(std::string_view key,
                                     std::initializer_list<std::string_view> allowed,
                                     std::string fallback);
  // true or false.
  [[nodiscard]] bool GetBool(std::string_view key, bool fallback);
  // A whole number within [min, max].
  [[nodiscard]] std::int64_t GetInt(std::string_view key, std::int64_t fallback, std::int64_t min,
                                    std::int64_t max);
  // A decimal number within [min, max].
  [[nodiscard]] double GetDouble(std::string_view key, double fallback, double min, double max);
  // As ParseDuration, within [min, max].
  [[nodiscard]] Duration GetDuration(std::string_view key, Duration fallback, Duration min,
                                     Duration max);
  // As ParseSize, within [min, max] bytes.
  [[nodiscard]] std::int64_t GetSize(std::string_view key, std::int64_t fallback, std::int64_t min,
                                     std::int64_t max);
  // A list of scalars; a single scalar counts as a list of one.
  [[nodiscard]] std::vector<std::string> GetStrings(std::string_view key);
  // A map of scalars.
  [[nodiscard]] std::map<std::string, std::string> GetStringMap(std::string_view key);

  // A map of further keys. nullopt: absent (or not a map, which is noted).
  [[nodiscard]] std::optional<Section> FindSection(std::string_view key);
  // A list of maps.
  [[nodiscard]] std::vector<Section> GetSections(std::string_view key);

  // The keys in the order of the text; for maps whose keys are names.
  [[nodiscard]] std::vector<std::string> Keys() const;

  // Notes an error at the value of `key`, or at this map when the key is absent.
  void Fail(std::string_view key, std::string_view message);
  // Declares a key that is never allowed: when present, `message` says why.
  void Refuse(std::string_view key, std::string_view message);
  // No key of this map is unknown: it cannot be told what they are for.
  void IgnoreRest();

 private:
  friend class Document;
  Section(std::shared_ptr<internal::Tree> tree, internal::Node* map);

  // The node of a present, non-null value; declares the key.
  internal::Node* Find(std::string_view key);
  // The same, and a scalar (anything else is noted).
  internal::Node* FindScalar(std::string_view key, std::string_view expected);

  std::shared_ptr<internal::Tree> tree_;
  internal::Node* map_;
};

// A parsed text whose top level is a map.
//
// Refuses what makes YAML dangerous or ambiguous: anchors and aliases, tags, repeated keys, keys
// that are not scalars, several documents, NUL (also as "\0") and text that is not UTF-8, and texts
// above the limits. Thread-compatible.
class Document {
 public:
  // `file_name` is how messages call the text. kInvalidArgument: "file:line:column: what".
  [[nodiscard]] static absl::StatusOr<Document> Parse(std::string_view text, std::string file_name,
                                                      const ParseLimits& limits = {});
  // The same of a text that may hold several (---); they are finished one by one.
  [[nodiscard]] static absl::StatusOr<std::vector<Document>> ParseAll(
      std::string_view text, std::string file_name, const ParseLimits& limits = {});
  // Parse of a regular file. Also the errors of open(2) and read(2).
  [[nodiscard]] static absl::StatusOr<Document> Load(const std::string& path,
                                                     const ParseLimits& limits = {});

  [[nodiscard]] Section Root();

  // Every noted error and every key that no getter asked for, in the order of the text, one per
  // line (20 at most), as kInvalidArgument with reason CONFIG_INVALID. Call it once, last.
  [[nodiscard]] absl::Status Finish();

 private:
  explicit Document(std::shared_ptr<internal::Tree> tree);
  std::shared_ptr<internal::Tree> tree_;
};

// The word of `known` a person most likely meant by `word`; empty when none is near.
[[nodiscard]] std::string NearestWord(std::string_view word, const std::vector<std::string>& known);

}  // namespace slipway::config
