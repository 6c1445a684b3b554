#include "common/rpc/build_convert.h"

#include "common/rpc/bounds.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"

namespace slipway::rpc {
namespace {

constexpr std::size_t kMaxCredential = 64 * 1024;
constexpr int kMaxOptions = 64;

}  // namespace

v1::BuildOutcome ToProto(const protocol::BuildOutcome& b) {
  v1::BuildOutcome out;
  out.set_commit(Cut(b.commit));
  out.set_commit_subject(Cut(b.commit_subject));
  out.set_image_digest(Cut(b.image_digest));
  out.set_manifest(rpc::ToProto(b.manifest));
  out.set_artifact_bytes(b.artifact_bytes);
  out.set_artifact_files(b.artifact_files);
  out.set_version(Cut(b.version));
  out.set_script_qr(Cut(b.script_qr));
  out.set_app_id(Cut(b.app_id));
  out.set_sealed_credential(b.sealed_credential);
  for (const auto& option : b.publish_options) out.add_publish_options(Cut(option));
  out.mutable_parameters()->insert(b.parameters.begin(), b.parameters.end());
  out.set_same_as(b.same_as);
  out.set_image(Cut(b.image));
  out.set_base_image(Cut(b.base_image));
  out.set_base_image_digest(Cut(b.base_image_digest));
  return out;
}

absl::StatusOr<protocol::BuildOutcome> FromProto(const v1::BuildOutcome& b) {
  protocol::BuildOutcome out;
  for (const auto* text :
       {&b.commit(), &b.commit_subject(), &b.image_digest(), &b.version(), &b.script_qr(),
        &b.app_id(), &b.image(), &b.base_image(), &b.base_image_digest()}) {
    SLIPWAY_RETURN_IF_ERROR(CheckLength("build", *text, kMaxText));
  }
  SLIPWAY_RETURN_IF_ERROR(
      CheckLength("build.sealed_credential", b.sealed_credential(), kMaxCredential));
  if (b.publish_options_size() > kMaxOptions) return Bad("build.publish_options", "too many");
  out.commit = b.commit();
  out.commit_subject = b.commit_subject();
  out.image_digest = b.image_digest();
  out.image = b.image();
  out.base_image = b.base_image();
  out.base_image_digest = b.base_image_digest();
  SLIPWAY_ASSIGN_OR_RETURN(out.manifest, DigestFromProto(b.manifest(), "build.manifest"));
  out.artifact_bytes = b.artifact_bytes();
  out.artifact_files = b.artifact_files();
  out.version = b.version();
  out.script_qr = b.script_qr();
  out.app_id = b.app_id();
  out.sealed_credential = b.sealed_credential();
  for (const auto& option : b.publish_options()) {
    SLIPWAY_RETURN_IF_ERROR(CheckLength("build.publish_options", option, kMaxText));
    out.publish_options.push_back(option);
  }
  if (b.parameters_size() > kMaxOptions) return Bad("build.parameters", "too many");
  for (const auto& [name, value] : b.parameters()) {
    SLIPWAY_RETURN_IF_ERROR(CheckLength("build.parameters", name, kMaxText));
    SLIPWAY_RETURN_IF_ERROR(CheckLength("build.parameters", value, kMaxText));
    out.parameters.emplace(name, value);
  }
  return out;
}

}  // namespace slipway::rpc
