#include "common/project/read_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/project/paths.h"

namespace slipway::project {
namespace {

using config::Section;

constexpr std::size_t kMaxChoices = 64;
constexpr std::size_t kMaxChoiceBytes = 256;
constexpr std::size_t kMaxLabelBytes = 128;
constexpr std::size_t kMaxHelpBytes = 512;

void ReadWords(Section& section, std::string_view key, std::size_t max, LocalText& words) {
  if (section.IsMap(key)) {
    auto languages = section.FindSection(key);
    words.en = languages->GetString("en", "");
    words.zh = languages->GetString("zh", "");
  } else {
    words.en = words.zh = section.GetString(key, "");
  }
  for (const std::string* text : {&words.en, &words.zh}) {
    if (text->size() <= max && IsParameterValue(*text)) continue;
    section.Fail(key, fmt::format("use one line of at most {} bytes", max));
    return;
  }
}

void ReadChoices(Section& section, Parameter& parameter) {
  parameter.choices = section.GetStrings("choices");
  if (parameter.choices.empty()) {
    section.Fail("choices", "required: a list of what there is to choose from");
  }
  if (parameter.choices.size() > kMaxChoices) {
    section.Fail("choices", fmt::format("more than {}", kMaxChoices));
    parameter.choices.resize(kMaxChoices);
  }
  for (auto it = parameter.choices.begin(); it != parameter.choices.end(); ++it) {
    if (it->empty() || it->size() > kMaxChoiceBytes || !IsParameterValue(*it)) {
      section.Fail("choices",
                   fmt::format("each is one line of 1 to {} bytes of text", kMaxChoiceBytes));
      return;
    }
    if (std::find(parameter.choices.begin(), it, *it) != it) {
      section.Fail("choices", fmt::format("'{}' is there twice", *it));
      return;
    }
  }
}

// False: noted, and its default cannot be judged.
bool ReadKind(Section& section, Parameter& parameter) {
  if (!section.Has("type")) {
    section.Fail("type", "required: choice, bool, text or file");
    section.IgnoreRest();
    return false;
  }
  const std::string type = section.GetOneOf("type", {"choice", "bool", "text", "file"}, "");
  if (type == "choice") {
    parameter.type = ParameterType::kChoice;
    ReadChoices(section, parameter);
    return !parameter.choices.empty();
  }
  if (type == "bool") {
    parameter.type = ParameterType::kBool;
    return true;
  }
  if (type == "text") {
    parameter.type = ParameterType::kText;
    parameter.max_bytes = static_cast<std::size_t>(
        section.GetInt("max_bytes", kMaxParameterValue, 1, kMaxParameterValue));
    parameter.pattern = section.GetString("pattern", "");
    const absl::Status allowed = CheckPattern(parameter.pattern);
    if (allowed.ok()) return true;
    section.Fail("pattern", std::string(allowed.message()));
    return false;
  }
  if (type == "file") {
    parameter.type = ParameterType::kFile;
    const auto under = NormalisePath(section.GetString("under", "."));
    parameter.under = under.value_or("");
    if (under) return true;
    section.Fail("under",
                 "not allowed; use a folder inside the repository, relative and without "
                 "'..'");
    return false;
  }
  // What its other keys are for cannot be told.
  section.IgnoreRest();
  return false;
}

void ReadDefault(Section& section, Parameter& parameter) {
  const std::optional<std::string> value = section.FindString("default");
  parameter.default_value = value.value_or("");
  if (!value && parameter.type != ParameterType::kText) {
    section.Fail("default", "required: what the build gets when a submit leaves it out");
    return;
  }
  const absl::Status allowed = CheckParameter(parameter, parameter.default_value);
  if (!allowed.ok()) section.Fail("default", std::string(allowed.message()));
}

}  // namespace

std::vector<Parameter> ReadParameters(Section& root) {
  std::vector<Parameter> parameters;
  auto all = root.FindSection("parameters");
  if (!all) return parameters;
  const std::vector<std::string> names = all->Keys();
  if (names.size() > kMaxParameters) {
    root.Fail("parameters", fmt::format("more than {}", kMaxParameters));
    all->IgnoreRest();
    return parameters;
  }
  for (const std::string& name : names) {
    if (!IsParameterName(name)) {
      all->Fail(name, "not a name of a parameter; use [a-z][a-z0-9-]{0,31}");
    }
    if (!all->Has(name)) {
      all->Fail(name, "expected a map with at least 'type'");
      continue;
    }
    auto section = all->FindSection(name);
    if (!section) continue;
    Parameter parameter;
    parameter.name = name;
    ReadWords(*section, "label", kMaxLabelBytes, parameter.label);
    ReadWords(*section, "help", kMaxHelpBytes, parameter.help);
    if (ReadKind(*section, parameter)) {
      ReadDefault(*section, parameter);
    } else {
      // Declares the key; whether it is allowed depends on what is wrong already.
      (void)section->FindString("default");
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

}  // namespace slipway::project
