#include "controller/cli/packaging.h"

#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/secret_files.h"

namespace slipway::cli {
namespace {

using crypto::SecretBytes;

absl::Status BadFlags(const char* text, const char* remedy) {
  return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS", text, remedy));
}

// Nothing else of the file leaves this machine: people keep keys beside their certificates.
absl::StatusOr<std::string> CertificateOf(const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(std::string text, ReadSmallText(path));
  absl::StatusOr<std::string> certificate = crypto::OnlyCertificate(text);
  crypto::Wipe(text.data(), text.size());
  if (!certificate.ok()) return UsageError(WithContext(certificate.status(), path));
  return certificate;
}

}  // namespace

v1::PackageCipher ToProto(crypto::PackageCipher cipher) {
  switch (cipher) {
    case crypto::PackageCipher::kAes256Cbc: return v1::PACKAGE_CIPHER_AES_256_CBC;
    case crypto::PackageCipher::kSm4Cbc: return v1::PACKAGE_CIPHER_SM4_CBC;
    default: return v1::PACKAGE_CIPHER_AES_256_GCM;
  }
}

absl::StatusOr<SecretBytes> AskPackagePassword(Session& session, bool twice) {
  const Text t = session.text;
  const char* instead = t("Give --password-file.", "请给出 --password-file。");
  SLIPWAY_ASSIGN_OR_RETURN(
      std::string line,
      session.Ask(t("Password of the package: ", "产物包的密码："), true, instead));
  SecretBytes password = SecretBytes::CopyOf(line);
  crypto::Wipe(line.data(), line.size());
  if (!twice) return password;
  SLIPWAY_ASSIGN_OR_RETURN(line, session.Ask(t("The same again: ", "再次输入："), true, instead));
  const bool same = line == password.view();
  crypto::Wipe(line.data(), line.size());
  if (!same) return BadFlags(t("the two passwords differ", "两次输入的密码不一致"), "");
  return password;
}

bool Encrypts(const EncryptionFlags& flags) {
  return !flags.cipher.empty() || !flags.recipients.empty() || !flags.password_file.empty();
}

absl::Status ReadEncryption(Session& session, const EncryptionFlags& flags,
                            v1::PackageEncryption& encryption) {
  encryption.set_cipher(
      ToProto(crypto::PackageCipherOf(flags.cipher).value_or(crypto::PackageCipher::kAes256Gcm)));
  for (const std::string& path : flags.recipients) {
    SLIPWAY_ASSIGN_OR_RETURN(*encryption.add_recipients(), CertificateOf(path));
  }
  if (!flags.recipients.empty()) return absl::OkStatus();
  SecretBytes password;
  if (flags.password_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(password, AskPackagePassword(session, true));
  } else {
    SLIPWAY_ASSIGN_OR_RETURN(password, ReadPassword(session, flags.password_file));
  }
  encryption.set_password(password.view().data(), password.size());
  return absl::OkStatus();
}

bool SaysPackaging(const PackagingFlags& flags) {
  return !flags.form.empty() || Encrypts(flags.encryption) || !flags.page_password_file.empty();
}

absl::Status ReadPackaging(Session& session, const PackagingFlags& flags,
                           v1::Packaging& packaging) {
  packaging.set_form(flags.form == "tar.gz" ? v1::PACKAGE_FORM_TAR_GZ : v1::PACKAGE_FORM_ZIP);
  if (Encrypts(flags.encryption)) {
    SLIPWAY_RETURN_IF_ERROR(
        ReadEncryption(session, flags.encryption, *packaging.mutable_encryption()));
  }
  if (flags.page_password_file.empty()) return absl::OkStatus();
  SLIPWAY_ASSIGN_OR_RETURN(const SecretBytes password,
                           ReadPassword(session, flags.page_password_file));
  if (password.size() == 0) {
    return BadFlags(
        session.text("--page-password-file: nothing is in it", "--page-password-file：文件为空"),
        "");
  }
  packaging.set_page_password(password.view().data(), password.size());
  return absl::OkStatus();
}

void ForgetPasswords(v1::Packaging& packaging) {
  crypto::Wipe(packaging.mutable_page_password()->data(), packaging.page_password().size());
  if (!packaging.has_encryption()) return;
  std::string& password = *packaging.mutable_encryption()->mutable_password();
  crypto::Wipe(password.data(), password.size());
}

}  // namespace slipway::cli
