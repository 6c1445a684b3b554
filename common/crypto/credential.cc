#include "common/crypto/credential.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "common/crypto/cms.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
namespace json = boost::json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxField = 256;
constexpr std::size_t kMaxSecret = 64 * 1024;
// Room for the parsed document, its growth and the parser's own buffer, so that no copy of the
// secret lands on the ordinary heap.
constexpr std::size_t kScratchBytes = 8 * kMaxSealedDocument;
constexpr std::size_t kParserBytes = 4 * 1024;

absl::Status Broken(std::string_view why) {
  return MakeError(StatusCode::kInvalidArgument, "CREDENTIAL_BROKEN",
                   fmt::format("the credential is not usable: {}", why),
                   "Seal it again with `slipway credentials seal`.");
}

absl::Status CheckField(std::string_view name, std::string_view value) {
  if (!value.empty() && value.size() <= kMaxField) return absl::OkStatus();
  return Broken(fmt::format("\"{}\" must have 1 to {} bytes", name, kMaxField));
}

absl::Status CheckSecret(std::string_view secret) {
  if (!secret.empty() && secret.size() <= kMaxSecret) return absl::OkStatus();
  return Broken(fmt::format("its secret must have 1 to {} bytes", kMaxSecret));
}

unsigned char* Bytes(SecretBytes& memory) {
  return reinterpret_cast<unsigned char*>(memory.data());
}

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Parse(std::string_view text, json::storage_ptr storage, json::value& document) {
  unsigned char buffer[kParserBytes];
  json::parse_options options;
  options.max_depth = 2;
  json::parser parser({}, options, buffer);
  parser.reset(std::move(storage));
  json::error_code error;
  parser.write(View(text), error);
  // The parser's words about bad input never quote the input.
  const absl::Status status = error ? Broken(error.message()) : absl::OkStatus();
  if (status.ok()) document = parser.release();
  Wipe(buffer, sizeof(buffer));
  return status;
}

absl::StatusOr<std::string_view> Field(const json::object& document, std::string_view name) {
  const json::value* value = document.if_contains(View(name));
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  if (text == nullptr) return Broken(fmt::format("it has no text \"{}\"", name));
  return std::string_view(text->data(), text->size());
}

absl::Status CheckBinding(const json::object& document, const CredentialBinding& expected) {
  const std::pair<std::string_view, std::string_view> parts[] = {
      {"farm", expected.farm.value()},
      {"application", expected.application.value()},
      {"platform", expected.platform}};
  for (const auto& [name, wanted] : parts) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::string_view found, Field(document, name));
    if (found == wanted) continue;
    return MakeError(
        StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
        fmt::format("the credential was sealed for another {}; it is wanted for {} \"{}\"", name,
                    name, wanted),
        fmt::format("Seal this application's own credential for platform \"{}\" with `slipway "
                    "credentials seal` and commit it.",
                    expected.platform));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> SealCredential(const CredentialBinding& binding,
                                           const Credential& credential,
                                           std::string_view farm_certificate_pem) {
  SLIPWAY_RETURN_IF_ERROR(CheckField("farm", binding.farm.value()));
  SLIPWAY_RETURN_IF_ERROR(CheckField("application", binding.application.value()));
  SLIPWAY_RETURN_IF_ERROR(CheckField("platform", binding.platform));
  SLIPWAY_RETURN_IF_ERROR(CheckField("kind", credential.kind));
  SLIPWAY_RETURN_IF_ERROR(CheckField("appId", credential.app_id));
  SLIPWAY_RETURN_IF_ERROR(CheckSecret(credential.secret.view()));

  SecretBytes scratch(kScratchBytes);
  json::monotonic_resource memory(Bytes(scratch), scratch.size());
  const json::value document({{"version", kVersion},
                              {"farm", View(binding.farm.value())},
                              {"application", View(binding.application.value())},
                              {"platform", View(binding.platform)},
                              {"kind", View(credential.kind)},
                              {"appId", View(credential.app_id)},
                              {"secret", View(credential.secret.view())}},
                             &memory);
  SecretBytes text(kMaxSealedDocument);
  json::serializer serializer;
  serializer.reset(&document);
  const std::size_t size = serializer.read(text.data(), text.size()).size();
  if (!serializer.done()) return Broken("its secret has too many special characters");
  text.Truncate(size);
  // Opening refuses bad UTF-8, so sealing it would only delay the error.
  SecretBytes check_scratch(kScratchBytes);
  json::monotonic_resource check_memory(Bytes(check_scratch), check_scratch.size());
  json::value parsed(&check_memory);
  SLIPWAY_RETURN_IF_ERROR(Parse(text.view(), &check_memory, parsed));
  return Seal(text.view(), farm_certificate_pem);
}

absl::StatusOr<Credential> OpenCredential(std::string_view sealed_pem,
                                          std::string_view farm_certificate_pem,
                                          std::string_view farm_key_pem,
                                          const CredentialBinding& expected) {
  SLIPWAY_ASSIGN_OR_RETURN(const SecretBytes text,
                           Open(sealed_pem, farm_certificate_pem, farm_key_pem));
  SecretBytes scratch(kScratchBytes);
  json::monotonic_resource memory(Bytes(scratch), scratch.size());
  json::value parsed(&memory);
  SLIPWAY_RETURN_IF_ERROR(Parse(text.view(), &memory, parsed));
  const json::object* document = parsed.if_object();
  if (document == nullptr) return Broken("it is not a JSON object");
  const json::value* version = document->if_contains("version");
  if (version == nullptr || !version->is_int64() || version->get_int64() != kVersion) {
    return Broken(fmt::format("its version is not {}", kVersion));
  }
  SLIPWAY_RETURN_IF_ERROR(CheckBinding(*document, expected));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view kind, Field(*document, "kind"));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view app_id, Field(*document, "appId"));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view secret, Field(*document, "secret"));
  SLIPWAY_RETURN_IF_ERROR(CheckField("kind", kind));
  SLIPWAY_RETURN_IF_ERROR(CheckField("appId", app_id));
  SLIPWAY_RETURN_IF_ERROR(CheckSecret(secret));
  Credential credential;
  credential.kind = kind;
  credential.app_id = app_id;
  credential.secret = SecretBytes::CopyOf(secret);
  return credential;
}

}  // namespace slipway::crypto
