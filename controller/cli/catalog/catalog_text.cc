#include "controller/cli/catalog/catalog_text.h"

#include <chrono>
#include <map>

#include "common/config/units.h"
#include "common/config/yaml_writer.h"
#include "common/crypto/hash.h"
#include "controller/domain/channel.h"

namespace slipway::cli::catalog {
namespace {

// One document, key by key; empty values are left out.
class Writer {
 public:
  explicit Writer(const char* kind) {
    yaml_.BeginMap();
    Always("kind", kind);
  }
  void Always(const char* key, const std::string& value) {
    yaml_.Key(key);
    yaml_.String(value);
  }
  void Add(const char* key, const std::string& value) {
    if (!value.empty()) Always(key, value);
  }
  void Add(const char* key, const google::protobuf::Duration& duration) {
    const Duration span =
        std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
    yaml_.Key(key);
    yaml_.Plain(config::FormatDuration(span));
  }
  void AddNumber(const char* key, std::int64_t number) {
    yaml_.Key(key);
    yaml_.Plain(std::to_string(number));
  }
  void Add(const char* key, const google::protobuf::Map<std::string, std::string>& labels) {
    if (labels.empty()) return;
    yaml_.Key(key);
    yaml_.BeginMap();
    for (const auto& [name, value] : std::map(labels.begin(), labels.end())) {
      Always(name.c_str(), value);
    }
    yaml_.EndMap();
  }
  void Add(const char* key, const google::protobuf::RepeatedPtrField<std::string>& texts) {
    if (texts.empty()) return;
    yaml_.Key(key);
    yaml_.BeginList();
    for (const std::string& text : texts) yaml_.String(text);
    yaml_.EndList();
  }
  void AddFlag(const char* key) {
    yaml_.Key(key);
    yaml_.Plain("true");
  }
  std::string Finish() {
    yaml_.EndMap();
    return yaml_.Finish();
  }

 private:
  config::YamlWriter yaml_;
};

}  // namespace

std::string TextOf(const v1::Environment& environment) {
  Writer writer("environment");
  writer.Always("name", environment.name());
  writer.Add("description", environment.description());
  if (environment.order() != 0) writer.AddNumber("order", environment.order());
  return writer.Finish();
}

std::string TextOf(const v1::Target& target, Certificates certificates) {
  Writer writer("target");
  writer.Always("platform", target.platform());
  writer.Always("name", target.name());
  writer.Add("environment", target.environment());
  if (target.has_channel()) {
    const v1::Channel& channel = target.channel();
    writer.Add(target.platform() == domain::kEmailPlatform ? "server" : "url", channel.url());
    writer.Add("user", channel.user());
    writer.Add("from", channel.from());
    writer.Add("to", channel.to());
    writer.Add("may_reach", channel.may_reach());
    writer.Add("language", channel.language());
    if (channel.has_attach_up_to()) {
      writer.AddNumber("attach_up_to", static_cast<std::int64_t>(channel.attach_up_to()));
    }
    writer.Add("valid_for", channel.valid_for());
    if (channel.plain()) writer.AddFlag("no_tls");
  } else {
    writer.Always("image", target.image());
    writer.Always("network", target.network());
  }
  writer.Add("deadline", target.deadline());
  writer.Add("require", target.requirements());
  writer.Add("proxy", target.proxy());
  if (certificates == Certificates::kWritten) {
    writer.Add("ca", target.ca_pem());
  } else if (!target.ca_pem().empty()) {
    writer.Always("ca", crypto::Sha256Of(target.ca_pem()).ToString());
  }
  return writer.Finish();
}

std::string TextOf(const v1::Application& application) {
  Writer writer("application");
  writer.Always("name", application.name());
  writer.Always("repository", application.repository());
  writer.Add("description", application.description());
  writer.Add("require", application.requirements());
  if (application.has_queue_timeout()) writer.Add("queue_timeout", application.queue_timeout());
  return writer.Finish();
}

std::string TextOf(const Catalog& catalog) {
  std::string text;
  const auto add = [&text](const std::string& document) {
    text += (text.empty() ? "" : "---\n") + document;
  };
  for (const auto& environment : catalog.environments) add(TextOf(environment));
  for (const auto& target : catalog.targets) add(TextOf(target, Certificates::kWritten));
  for (const auto& application : catalog.applications) add(TextOf(application));
  return text;
}

}  // namespace slipway::cli::catalog
