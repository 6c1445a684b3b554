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

std::string LanguageFlag(const std::vector<std::string>& arguments) {
  const std::string flag = "--lang";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == flag && i + 1 < arguments.size()) return arguments[i + 1];
    if (arguments[i].rfind(flag + "=", 0) == 0) return arguments[i].substr(flag.size() + 1);
  }
  return "";
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
