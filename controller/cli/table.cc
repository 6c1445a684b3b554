#include "controller/cli/table.h"

#include <algorithm>
#include <clocale>
#include <cwchar>

#include "common/rpc/text.h"

namespace slipway::cli {
namespace {

// The C library knows the width of every character, but only for the locale of the thread.
class Utf8Scope {
 public:
  Utf8Scope() {
    static const locale_t kUtf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (kUtf8 != nullptr) old_ = uselocale(kUtf8);
  }
  ~Utf8Scope() {
    if (old_ != nullptr) uselocale(old_);
  }
  Utf8Scope(const Utf8Scope&) = delete;
  Utf8Scope& operator=(const Utf8Scope&) = delete;

 private:
  locale_t old_ = nullptr;
};

void Pad(std::string& line, int columns) {
  if (columns > 0) line.append(static_cast<std::size_t>(columns), ' ');
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

int DisplayWidth(std::string_view text) {
  const Utf8Scope scope;
  int width = 0;
  mbstate_t state{};
  while (!text.empty()) {
    wchar_t character = 0;
    const std::size_t n = mbrtowc(&character, text.data(), text.size(), &state);
    if (n == 0 || n > text.size()) {
      state = {};
      ++width;
      text.remove_prefix(1);
      continue;
    }
    width += std::max(0, wcwidth(character));
    text.remove_prefix(n);
  }
  return width;
}

std::string OneLine(std::string_view text) {
  std::string line = rpc::ValidUtf8(text);
  std::replace_if(line.begin(), line.end(), IsControl, ' ');
  // C1 control characters, which some terminals obey as well: U+0080 … U+009F.
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    if (line[i] == '\xc2' && static_cast<unsigned char>(line[i + 1]) < 0xa0) {
      line.replace(i, 2, " ");
    }
  }
  return line;
}

std::string Indented(std::string_view text, std::string_view indent) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.append(indent);
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines += OneLine(line);
    lines += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Table::Table(std::vector<std::string> heading) { Add(std::move(heading)); }

void Table::Add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = OneLine(cell);
  rows_.push_back(std::move(row));
}

std::string Table::Render() const {
  std::vector<int> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) Pad(line, widths[i] - DisplayWidth(row[i]) + 2);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + '\n';
  }
  return text;
}

void Facts::Add(std::string name, std::string_view value) {
  if (!value.empty()) facts_.emplace_back(std::move(name), OneLine(value));
}

std::string Facts::Render() const {
  int width = 0;
  for (const auto& fact : facts_) width = std::max(width, DisplayWidth(fact.first));
  std::string text;
  for (const auto& [name, value] : facts_) {
    std::string line = indent_ + name;
    Pad(line, width - DisplayWidth(name) + 2);
    text += line + value + '\n';
  }
  return text;
}

}  // namespace slipway::cli
