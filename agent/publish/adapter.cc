#include "agent/publish/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "common/status/status.h"

namespace slipway::publish {
namespace {

namespace json = boost::json;
using protocol::FailureClass;

// Shorter strings of a credential are names ("tool-1"), which its refusals have to name.
constexpr std::size_t kMinSecretWord = 32;
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxLink = 2048;
// Later ones fit no WallTime, and are nobody's.
constexpr std::int64_t kEndOfTime = 8'000'000'000;
constexpr std::size_t kMaxProbeText = 1024;
constexpr std::size_t kMaxDetails = std::size_t{16} << 10;
// The adapter gives up before slipway-init ends it, so that it can still say why.
constexpr std::int64_t kMarginSeconds = 15;

absl::Status Invalid(std::string_view why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "PUBLISH_RESULT_INVALID",
                   fmt::format("the adapter's result.json makes no sense: {}", why));
}

std::optional<std::int64_t> AsNumber(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

json::value AsValue(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  if (const auto number = AsNumber(text)) return *number;
  return json::value(text);
}

std::string Text(const json::object& object, std::string_view key, std::size_t max) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  const json::string& text = value->get_string();
  return {text.data(), std::min(text.size(), max)};
}

bool Flag(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// What programs switch on, by the class that the adapter found.
std::string ReasonOf(FailureClass klass) {
  switch (klass) {
    case FailureClass::kBuild: return "PRODUCT_REJECTED";
    case FailureClass::kCredential: return "CREDENTIAL_REFUSED";
    case FailureClass::kPlatformRefused: return "PLATFORM_REFUSED";
    case FailureClass::kNetwork: return "PLATFORM_UNREACHABLE";
    case FailureClass::kPublishUnknown: return "PUBLISH_UNKNOWN";
    default: return "PUBLISHER_FAILED";
  }
}

std::string StageOf(const json::object& root) {
  std::string stage = Text(root, "stage", 64);
  for (const std::string_view known : {"check", "prove", "upload", "preview"}) {
    if (stage == known) return stage;
  }
  return {};
}

std::string MessageOf(FailureClass klass, const std::string& stage) {
  switch (klass) {
    case FailureClass::kBuild: return "The product cannot be published as it is.";
    case FailureClass::kCredential:
      return "The platform did not accept the credential; nothing was published.";
    case FailureClass::kPlatformRefused: return "The platform refused this version.";
    case FailureClass::kNetwork: return "The platform could not be reached; nothing was published.";
    case FailureClass::kPublishUnknown:
      return "The upload had begun and no clear answer came; it may or may not be published.";
    default:
      return stage.empty()
                 ? "The publish failed; nothing was published."
                 : fmt::format("The publish failed at \"{}\"; nothing was published.", stage);
  }
}

// Half a code opens nothing.
std::string Whole(const json::object& root, const char* key) {
  std::string text = Text(root, key, kMaxLink + 1);
  return text.size() > kMaxLink ? std::string() : text;
}

protocol::PlatformCode CodeOf(const json::object& root) {
  protocol::PlatformCode code;
  code.text = Whole(root, "qrText");
  code.image_url = Whole(root, "qrImageUrl");
  // Clients draw it as a link.
  if (code.image_url.rfind("https://", 0) != 0 && code.image_url.rfind("http://", 0) != 0) {
    code.image_url.clear();
  }
  absl::Time until;
  if (absl::ParseTime(absl::RFC3339_full, Text(root, "qrExpiresAt", 64), &until, nullptr) &&
      until > absl::UnixEpoch() && until < absl::FromUnixSeconds(kEndOfTime)) {
    code.expires_at = FromUnixMicros(absl::ToUnixMicros(until));
  }
  return code;
}

std::string CodeFileOf(const json::object& root) {
  std::string name = Text(root, "qrFile", 65);
  const bool plain = !name.empty() && name.size() <= 64 && name.front() != '.' &&
                     name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789._-") == std::string::npos;
  return plain ? name : std::string();
}

absl::StatusOr<protocol::ProbeOutcome> ParseProbe(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return Invalid("\"probe\" is not an object");
  protocol::ProbeOutcome probe{.verdict = protocol::ProbeVerdict::kCannotTell,
                               .version = Text(*object, "version", kMaxProbeText),
                               .link = Text(*object, "link", kMaxProbeText),
                               .words = Text(*object, "words", kMaxProbeText),
                               .remedy = Text(*object, "remedy", kMaxProbeText),
                               .remedy_zh = Text(*object, "remedyZh", kMaxProbeText)};
  const std::string verdict = Text(*object, "verdict", 64);
  if (verdict == "published") {
    probe.verdict = protocol::ProbeVerdict::kPublished;
  } else if (verdict == "not_published") {
    probe.verdict = protocol::ProbeVerdict::kNotPublished;
  } else if (verdict != "cannot_tell") {
    return Invalid("\"verdict\" is none");
  }
  return probe;
}

void AddStrings(const json::value& value, std::vector<std::string>& words) {
  if (const json::string* text = value.if_string()) {
    if (text->size() >= kMinSecretWord) words.emplace_back(text->data(), text->size());
  } else if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) AddStrings(member.value(), words);
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& element : *array) AddStrings(element, words);
  }
}

}  // namespace

std::string EncodeRequest(const AdapterRequest& request) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(request.deadline).count();
  json::object root = {
      {"contractVersion", kContractVersion},
      {"operation", request.probe ? "probe" : "publish"},
      {"platform", request.platform},
      {"appId", request.app_id},
      {"mode", request.mode},
      {"version", request.version},
      {"description", request.description},
      {"credentialFile", request.credential_file},
      {"outDir", request.out_dir},
      {"deadlineSeconds",
       std::max<std::int64_t>(seconds > 2 * kMarginSeconds ? seconds - kMarginSeconds : seconds,
                              1)},
  };
  if (!request.product_dir.empty()) root["projectDir"] = request.product_dir;
  if (!request.ca_file.empty()) root["caFile"] = request.ca_file;
  if (!request.proxy.empty()) root["proxy"] = request.proxy;
  json::object options;
  for (const auto& [key, value] : request.options) options[key] = AsValue(value);
  if (!options.empty()) root["options"] = std::move(options);
  return json::serialize(root);
}

std::vector<std::string> SecretWords(std::string_view credential) {
  std::vector<std::string> words = {std::string(credential)};
  boost::system::error_code error;
  json::parse_options limits;
  limits.max_depth = 8;
  const json::value parsed =
      json::parse(json::string_view(credential.data(), credential.size()), error, {}, limits);
  if (!error) AddStrings(parsed, words);
  return words;
}

absl::StatusOr<AdapterResult> ParseResult(std::string_view text) {
  if (text.size() > kMaxResultBytes) return Invalid("it is too large");
  boost::system::error_code error;
  json::parse_options limits;
  limits.max_depth = 16;
  const json::value parsed =
      json::parse(json::string_view(text.data(), text.size()), error, {}, limits);
  if (error) return Invalid(error.message());
  const json::object* root = parsed.if_object();
  if (root == nullptr) return Invalid("not an object");
  const json::value* ok = root->if_contains("ok");
  if (ok == nullptr || !ok->is_bool()) return Invalid("\"ok\" is missing");
  AdapterResult result;
  result.stage = StageOf(*root);
  result.upload_started = Flag(*root, "uploadStarted");
  if (const json::value* probe = root->if_contains("probe"); probe != nullptr && ok->get_bool()) {
    SLIPWAY_ASSIGN_OR_RETURN(result.what, ParseProbe(*probe));
    return result;
  }
  if (ok->get_bool()) {
    protocol::PublishOutcome outcome;
    outcome.link = Text(*root, "link", kMaxLink);
    outcome.code = CodeOf(*root);
    result.code_file = CodeFileOf(*root);
    outcome.details_json = json::serialize(*root);
    // A number beyond any double was read as infinity, and would be written as nobody reads it.
    (void)json::parse(outcome.details_json, error, {}, limits);
    if (error || outcome.details_json.size() > kMaxDetails) outcome.details_json = "{}";
    result.what = std::move(outcome);
    return result;
  }
  const auto klass = protocol::ParseFailureClass(Text(*root, "class", 64));
  if (!klass) return Invalid("\"class\" is not a failure class");
  result.what = protocol::Failure{.klass = *klass,
                                  .reason = ReasonOf(*klass),
                                  .message = MessageOf(*klass, result.stage),
                                  .tool_words = Text(*root, "reason", kMaxText),
                                  .remedy = Text(*root, "remedy", kMaxText),
                                  .remedy_zh = Text(*root, "remedyZh", kMaxText)};
  return result;
}

std::string PreviewMessage(const protocol::Failure& failure, std::string_view stage) {
  switch (failure.klass) {
    case FailureClass::kBuild: return "No preview can be made of the product as it is.";
    case FailureClass::kCredential:
      return "The platform did not accept the credential; no preview was made.";
    case FailureClass::kPlatformRefused: return "The platform refused to make a preview.";
    case FailureClass::kNetwork: return "The platform could not be reached; no preview came.";
    default:
      return stage.empty() ? "Making the preview failed."
                           : fmt::format("Making the preview failed at \"{}\".", stage);
  }
}

bool InDoubt(const AdapterResult& result, std::string_view mode) {
  const auto* failure = std::get_if<protocol::Failure>(&result.what);
  return failure != nullptr && result.upload_started && mode == "upload" &&
         failure->klass != FailureClass::kPlatformRefused &&
         failure->klass != FailureClass::kCredential;
}

void DropText(AdapterResult& result) {
  if (auto* outcome = std::get_if<protocol::PublishOutcome>(&result.what)) {
    *outcome = {.link = {}, .code = {}, .details_json = "{}"};
    result.code_file.clear();
    return;
  }
  if (auto* probe = std::get_if<protocol::ProbeOutcome>(&result.what)) {
    *probe = {.verdict = probe->verdict};
    return;
  }
  auto& failure = std::get<protocol::Failure>(result.what);
  failure.tool_words.clear();
  failure.remedy = "The log has the client's own words.";
  failure.remedy_zh = "请查看发布日志中客户端的原话。";
}

bool Announces(std::string_view text, std::string_view stage) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    if (text.substr(0, end) == stage) return true;
    text.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace slipway::publish
