#include "common/crypto/sealed_fields.h"

#include <fmt/format.h>

#include "common/status/status.h"

namespace slipway::crypto {
namespace {

namespace json = boost::json;

constexpr int kVersion = 1;
// Room for the parsed document, its growth and the parser's own buffer.
constexpr std::size_t kScratchBytes = 8 * kMaxSealedDocument;
constexpr std::size_t kParserBytes = 4 * 1024;

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::Status BrokenCredential(std::string_view why, std::string_view again) {
  return MakeError(absl::StatusCode::kInvalidArgument, "CREDENTIAL_BROKEN",
                   fmt::format("the credential is not usable: {}", why),
                   fmt::format("Seal it again with `{}`.", again));
}

SealedFields::SealedFields(std::string_view again)
    : again_(again),
      scratch_(kScratchBytes),
      memory_(reinterpret_cast<unsigned char*>(scratch_.data()), scratch_.size()),
      document_(&memory_) {
  document_.emplace_object()["version"] = kVersion;
}

void SealedFields::Add(std::string_view name, std::string_view text) {
  document_.get_object()[View(name)] = View(text);
}

absl::StatusOr<std::string> SealedFields::SealFor(std::string_view certificate_pem) const {
  SecretBytes text(kMaxSealedDocument);
  json::serializer serializer;
  serializer.reset(&document_);
  const std::size_t size = serializer.read(text.data(), text.size()).size();
  if (!serializer.done()) {
    return BrokenCredential("its secret has too many special characters", again_);
  }
  text.Truncate(size);
  // Opening refuses bad UTF-8, so sealing it would only delay the error.
  SealedFields check(again_);
  SLIPWAY_RETURN_IF_ERROR(check.Parse(text.view()));
  return Seal(text.view(), certificate_pem);
}

absl::Status SealedFields::OpenFrom(std::string_view sealed_pem, std::string_view certificate_pem,
                                    std::string_view key_pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const SecretBytes text, Open(sealed_pem, certificate_pem, key_pem));
  SLIPWAY_RETURN_IF_ERROR(Parse(text.view()));
  if (!document_.is_object()) return BrokenCredential("it is not a JSON object", again_);
  const json::value* version = document_.get_object().if_contains("version");
  if (version == nullptr || !version->is_int64() || version->get_int64() != kVersion) {
    return BrokenCredential(fmt::format("its version is not {}", kVersion), again_);
  }
  return absl::OkStatus();
}

bool SealedFields::Has(std::string_view name) const {
  return document_.get_object().if_contains(View(name)) != nullptr;
}

absl::StatusOr<std::string_view> SealedFields::Get(std::string_view name) const {
  const json::value* value = document_.get_object().if_contains(View(name));
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  if (text == nullptr) return BrokenCredential(fmt::format("it has no text \"{}\"", name), again_);
  return std::string_view(text->data(), text->size());
}

absl::StatusOr<std::string_view> SealedFields::FirstDifference(Wanted wanted) const {
  for (const auto& [name, text] : wanted) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::string_view found, Get(name));
    if (found != text) return name;
  }
  return std::string_view();
}

absl::Status SealedFields::Parse(std::string_view text) {
  unsigned char buffer[kParserBytes];
  json::parse_options options;
  options.max_depth = 2;
  json::parser parser({}, options, buffer);
  parser.reset(&memory_);
  json::error_code error;
  parser.write(View(text), error);
  // The parser's words about bad input never quote the input.
  const absl::Status status = error ? BrokenCredential(error.message(), again_) : absl::OkStatus();
  if (status.ok()) document_ = parser.release();
  Wipe(buffer, sizeof(buffer));
  return status;
}

}  // namespace slipway::crypto
