#include "controller/store/pg/channel_json.h"

#include <vector>

#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;

std::string TextOf(const json::object& object, const char* key) {
  return json::value_to<std::string>(object.at(key));
}

std::vector<std::string> TextsOf(const json::object& object, const char* key) {
  return json::value_to<std::vector<std::string>>(object.at(key));
}

}  // namespace

std::string ChannelToJson(const domain::Channel& channel) {
  return std::string(
      json::serialize(json::object{{"url", channel.url},
                                   {"user", channel.user},
                                   {"from", channel.from},
                                   {"to", json::value_from(channel.to)},
                                   {"may_reach", json::value_from(channel.may_reach)},
                                   {"language", channel.language},
                                   {"attach_up_to", channel.attach_up_to},
                                   {"valid_for", ToMicros(channel.valid_for)},
                                   {"plain", channel.plain}}));
}

domain::Channel ChannelFromJson(const std::string& text) {
  const json::value value = json::parse(json::string_view(text.data(), text.size()));
  const json::object& object = value.as_object();
  return {.url = TextOf(object, "url"),
          .user = TextOf(object, "user"),
          .from = TextOf(object, "from"),
          .to = TextsOf(object, "to"),
          .may_reach = TextsOf(object, "may_reach"),
          .language = TextOf(object, "language"),
          .attach_up_to = object.at("attach_up_to").to_number<std::uint64_t>(),
          .valid_for = std::chrono::microseconds(object.at("valid_for").to_number<std::int64_t>()),
          .plain = object.at("plain").as_bool()};
}

json::object PackagingToJson(const domain::Packaging& packaging) {
  if (packaging == domain::Packaging()) return {};
  return {{"form", packaging.form},
          {"cipher", packaging.cipher},
          {"recipients", json::value_from(packaging.recipients)},
          {"sealed_password", packaging.sealed_password},
          {"page_password_hash", packaging.page_password_hash}};
}

domain::Packaging PackagingFromJson(const std::string& text) {
  const json::value value = json::parse(json::string_view(text.data(), text.size()));
  const json::object& object = value.as_object();
  if (object.empty()) return {};
  return {.form = TextOf(object, "form"),
          .cipher = TextOf(object, "cipher"),
          .recipients = TextsOf(object, "recipients"),
          .sealed_password = TextOf(object, "sealed_password"),
          .page_password_hash = TextOf(object, "page_password_hash")};
}

}  // namespace slipway::store::pg
