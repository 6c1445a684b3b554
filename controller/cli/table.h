#pragma once

#include <string>
#include <string_view>
#include <vector>

// Text laid out for terminals. Pure functions.
namespace slipway::cli {

// Columns that UTF-8 text takes on a terminal: 2 for wide characters (Chinese), 0 for combining
// ones, 1 for each byte that is not UTF-8.
[[nodiscard]] int DisplayWidth(std::string_view text);

// `text` without anything that could steer a terminal: control characters become spaces, bytes
// that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string OneLine(std::string_view text);
// The same for text of several lines: newlines stay, tabs become spaces; every line begins with
// `indent`; ends with a newline unless empty.
[[nodiscard]] std::string Indented(std::string_view text, std::string_view indent);

// Rows of cells in columns two spaces apart, under a heading. Cells are made OneLine.
class Table {
 public:
  explicit Table(std::vector<std::string> heading);
  void Add(std::vector<std::string> row);
  [[nodiscard]] std::string Render() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "name   value" lines with the values under each other. Empty values are left out.
class Facts {
 public:
  explicit Facts(std::string indent = "") : indent_(std::move(indent)) {}
  void Add(std::string name, std::string_view value);
  [[nodiscard]] std::string Render() const;

 private:
  std::string indent_;
  std::vector<std::pair<std::string, std::string>> facts_;
};

}  // namespace slipway::cli
