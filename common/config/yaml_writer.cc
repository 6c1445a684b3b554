#include "common/config/yaml_writer.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace slipway::config {
namespace {

// What YAML 1.1 readers take for a boolean or for nothing when it stands without quotes.
constexpr std::array<std::string_view, 10> kWords = {"true", "false", "yes",  "no", "on",
                                                     "off",  "y",     "null", "n",  "nan"};

bool IsPlain(std::string_view text) {
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0) return false;
  const bool simple = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' ||
           c == '/';
  });
  if (!simple) return false;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

// Lines that a block keeps byte for byte: printable ASCII, none of them indented, one newline at
// the end.
bool IsBlock(std::string_view text) {
  if (text.size() < 2 || text.back() != '\n') return false;
  char before = '\n';
  for (const char c : text) {
    if (before == '\n' && (c == '\n' || c == ' ')) return false;
    if (c != '\n' && (c < 0x20 || c > 0x7e)) return false;
    before = c;
  }
  return true;
}

}  // namespace

struct YamlWriter::Emitter {
  YAML::Emitter out;
};

YamlWriter::YamlWriter() : emitter_(std::make_unique<Emitter>()) {}
YamlWriter::~YamlWriter() = default;

void YamlWriter::BeginMap() { emitter_->out << YAML::BeginMap; }
void YamlWriter::EndMap() { emitter_->out << YAML::EndMap; }
void YamlWriter::BeginList() { emitter_->out << YAML::BeginSeq; }
void YamlWriter::EndList() { emitter_->out << YAML::EndSeq; }

void YamlWriter::Key(std::string_view name) {
  emitter_->out << YAML::Key;
  String(name);
  emitter_->out << YAML::Value;
}

void YamlWriter::String(std::string_view text) {
  if (IsBlock(text)) {
    emitter_->out << YAML::Literal;
  } else if (!IsPlain(text)) {
    emitter_->out << YAML::DoubleQuoted;
  }
  emitter_->out << std::string(text);
}

void YamlWriter::Plain(std::string_view word) { emitter_->out << std::string(word); }

std::string YamlWriter::Finish() {
  std::string text(emitter_->out.c_str(), emitter_->out.size());
  // The one control character that the emitter leaves as it is; it only stands between quotes.
  for (auto at = text.find('\x7f'); at != std::string::npos; at = text.find('\x7f', at)) {
    text.replace(at, 1, "\\x7F");
  }
  if (text.empty() || text.back() != '\n') text += '\n';
  return text;
}

}  // namespace slipway::config
