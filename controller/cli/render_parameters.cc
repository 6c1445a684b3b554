#include "controller/cli/render_parameters.h"

#include <fmt/format.h>

#include <map>

namespace slipway::cli {
namespace {

const std::string& WordsOf(const v1::LocalText& words, Text t) {
  const bool chinese = words.en().empty() || (t.chinese() && !words.zh().empty());
  return chinese ? words.zh() : words.en();
}

std::string Joined(const v1::BuildParameter& parameter) {
  std::string words;
  for (const std::string& choice : parameter.choices()) {
    words += (words.empty() ? "" : ", ") + choice;
  }
  return words;
}

// What may be put in.
std::string TakesWords(const v1::BuildParameter& parameter, Text t) {
  switch (parameter.type()) {
    case v1::BUILD_PARAMETER_TYPE_CHOICE:
      return fmt::format(fmt::runtime(t("one of {}", "以下之一：{}")), Joined(parameter));
    case v1::BUILD_PARAMETER_TYPE_BOOL: return t("true or false", "true 或 false");
    case v1::BUILD_PARAMETER_TYPE_TEXT: {
      std::string words = fmt::format(
          fmt::runtime(t("text, at most {} bytes", "文本，最多 {} 字节")), parameter.max_bytes());
      if (parameter.pattern().empty()) return words;
      return words +
             fmt::format(fmt::runtime(t(", that matches {}", "，须匹配 {}")), parameter.pattern());
    }
    case v1::BUILD_PARAMETER_TYPE_FILE: {
      std::string words =
          parameter.under() == "."
              ? t("a file of the repository", "仓库中的文件")
              : fmt::format(fmt::runtime(t("a file below {}", "{} 下的文件")), parameter.under());
      if (parameter.choices().empty()) return words;
      return words + fmt::format(fmt::runtime(t(": {}", "：{}")), Joined(parameter));
    }
    default: return t("something that this slipway does not know", "此版本 slipway 不认识的类型");
  }
}

}  // namespace

void AddParameters(Facts& facts, const google::protobuf::Map<std::string, std::string>& parameters,
                   Text text) {
  const char* name = text("parameters", "参数");
  // A protobuf map has no order of its own.
  for (const auto& [key, value] :
       std::map<std::string, std::string>(parameters.begin(), parameters.end())) {
    facts.Add(name, fmt::format("{}={}", key, value));
    name = "";
  }
}

std::string RenderParameters(const v1::ApplicationOverview& application, const View& view) {
  const Text t = view.text;
  if (application.build_parameters().empty()) {
    return t("no parameters that you may set\n", "没有您可设置的参数\n");
  }
  std::string text;
  for (const v1::BuildParameter& parameter : application.build_parameters()) {
    if (!text.empty()) text += "\n";
    const std::string& label = WordsOf(parameter.label(), t);
    text += view.style.Bold(OneLine(parameter.name()));
    if (!label.empty()) text += "  " + OneLine(label);
    text += "\n";
    Facts facts("  ");
    facts.Add(t("what it does", "说明"), WordsOf(parameter.help(), t));
    facts.Add(t("takes", "取值"), TakesWords(parameter, t));
    facts.Add(t("default", "缺省值"), parameter.default_value());
    text += facts.Render();
  }
  return text;
}

}  // namespace slipway::cli
