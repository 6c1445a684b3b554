#include "controller/cli/text.h"

#include <cctype>

namespace slipway::cli {

Language LanguageOf(std::string_view locale) {
  const auto letter = [&](std::size_t i) {
    return std::tolower(static_cast<unsigned char>(locale[i]));
  };
  const bool chinese = locale.size() >= 2 && letter(0) == 'z' && letter(1) == 'h' &&
                       (locale.size() == 2 || std::isalpha(letter(2)) == 0);
  return chinese ? Language::kChinese : Language::kEnglish;
}

Language ChooseLanguage(std::string_view flag, const Environment& environment) {
  if (!flag.empty()) return LanguageOf(flag);
  for (const char* name : {"SLIPWAY_LANG", "LC_ALL", "LC_MESSAGES", "LANG"}) {
    const std::string value = environment(name);
    if (!value.empty()) return LanguageOf(value);
  }
  return Language::kEnglish;
}

}  // namespace slipway::cli
