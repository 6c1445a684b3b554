#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// Every sentence of the command line in English and Chinese, side by side where it is used.
namespace slipway::cli {

enum class Language { kEnglish, kChinese };

// "zh", "zh_CN.UTF-8", "zh-Hans"… mean Chinese, everything else English.
[[nodiscard]] Language LanguageOf(std::string_view locale);

// Reads an environment variable; empty when it is not set.
using Environment = std::function<std::string(const char* name)>;

// The value of --lang among the arguments, which decides about the language of everything else,
// also of --help; empty: there is none.
[[nodiscard]] std::string LanguageFlag(const std::vector<std::string>& arguments);

// `flag` (--lang) before SLIPWAY_LANG, LC_ALL, LC_MESSAGES and LANG: the first that says something.
[[nodiscard]] Language ChooseLanguage(std::string_view flag, const Environment& environment);

// Picks the sentence: text("done", "完成"). A value; thread-safe.
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
