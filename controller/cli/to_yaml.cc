#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "common/config/yaml_writer.h"
#include "controller/cli/format.h"

namespace slipway::cli {
namespace {

void Write(const boost::json::value& value, config::YamlWriter& yaml) {
  if (const auto* object = value.if_object()) {
    yaml.BeginMap();
    for (const auto& [key, member] : *object) {
      yaml.Key({key.data(), key.size()});
      Write(member, yaml);
    }
    yaml.EndMap();
  } else if (const auto* array = value.if_array()) {
    yaml.BeginList();
    for (const auto& element : *array) Write(element, yaml);
    yaml.EndList();
  } else if (const auto* text = value.if_string()) {
    yaml.String({text->data(), text->size()});
  } else {
    yaml.Plain(boost::json::serialize(value));
  }
}

}  // namespace

std::string ToYaml(const google::protobuf::Message& message) {
  boost::system::error_code failed;
  const boost::json::value document = boost::json::parse(ToJson(message), failed);
  config::YamlWriter yaml;
  Write(document, yaml);
  return yaml.Finish();
}

}  // namespace slipway::cli
