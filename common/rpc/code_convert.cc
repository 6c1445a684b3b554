#include "common/rpc/code_convert.h"

#include <string>

#include "common/rpc/bounds.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"

namespace slipway::rpc {
namespace {

// Of text and address; half of one opens nothing, so none is ever cut.
constexpr std::size_t kMaxCode = 2048;

std::string Whole(const std::string& text) {
  return text.size() > kMaxCode ? "" : Cut(text, kMaxCode);
}

}  // namespace

v1::PlatformCode ToProto(const protocol::PlatformCode& code) {
  v1::PlatformCode out;
  out.set_text(Whole(code.text));
  out.set_image_url(Whole(code.image_url));
  out.set_image_type(code.image_type);
  out.set_image(code.image);
  if (code.expires_at != WallTime()) *out.mutable_expires_at() = ToProto(code.expires_at);
  return out;
}

absl::StatusOr<protocol::PlatformCode> FromProto(const v1::PlatformCode& code) {
  SLIPWAY_RETURN_IF_ERROR(CheckLength("code.text", code.text(), kMaxCode));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("code.image_url", code.image_url(), kMaxCode));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("code.image", code.image(), protocol::kMaxCodeImageBytes));
  // What is sent on as an image is one, whatever the message calls it.
  if (!code.image().empty() && code.image_type() != protocol::CodeImageType(code.image())) {
    return Bad("code.image_type", "does not fit the image");
  }
  if (!code.image_type().empty() && code.image_type() != "image/png" &&
      code.image_type() != "image/jpeg") {
    return Bad("code.image_type", "unknown value");
  }
  return protocol::PlatformCode{
      .text = code.text(),
      .image_url = code.image_url(),
      .image_type = code.image_type(),
      .image = code.image(),
      .expires_at = code.has_expires_at() ? FromProto(code.expires_at()) : WallTime()};
}

}  // namespace slipway::rpc
