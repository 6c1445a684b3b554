#pragma once

#include <string>
#include <string_view>

// Every sentence of the command line in English and Chinese, side by side where it is used.
namespace slipway::cli {

enum class Language { kEnglish, kChinese };

// zh… in SLIPWAY_LANG, LC_ALL, LC_MESSAGES or LANG (the first that is set) means Chinese.
[[nodiscard]] Language LanguageOf(std::string_view locale);

class Text {
 public:
  explicit Text(Language language) : chinese_(language == Language::kChinese) {}
  [[nodiscard]] const char* operator()(const char* english, const char* chinese) const {
    return chinese_ ? chinese : english;
  }
  [[nodiscard]] bool chinese() const { return chinese_; }

 private:
  bool chinese_;
};

}  // namespace slipway::cli
