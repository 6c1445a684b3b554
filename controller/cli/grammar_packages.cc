#include "controller/cli/grammar.h"

namespace slipway::cli {

void Grammar::AddPackages(CLI::App& archive) {
  CLI::App* package = Command(archive, "package", "Fetches one file to hand on, encrypted if asked",
                              "取回可转交他人的单个文件，可加密",
                              [this](Session& s) { return Package(s, package_); });
  AddName(package, package_.name);
  Option(package, "-o,--out", package_.out_file, "File to write (else named after the product)",
         "输出文件（缺省以产物命名）")
      ->type_name("FILE");
  Option(package, "--format", package_.form, "zip (default) or tar.gz", "zip（缺省）或 tar.gz")
      ->check(CLI::IsMember({"zip", "tar.gz"}));
  AddEncryption(package, package_.encryption);
  Flag(package, "--force", package_.force, "Replaces an existing file", "覆盖已有文件");

  CLI::App* open = Command(archive, "open", "Decrypts a package; refuses one that was changed",
                           "解密产物包；拒绝被篡改的文件",
                           [this](Session& s) { return OpenPackage(s, open_package_); });
  Option(open, "FILE", open_package_.file, "The package", "产物包")->required();
  Option(open, "-o,--out", open_package_.out_file, "File to write (else FILE without .cms)",
         "输出文件（缺省为去掉 .cms 的文件名）")
      ->type_name("FILE");
  Option(open, "--key", open_package_.key_file, "Private key of a recipient, PEM",
         "接收者的私钥（PEM）")
      ->type_name("FILE");
  Option(open, "--password-file", open_package_.password_file,
         "File with the password; '-': standard input (else asked for)",
         "密码文件；'-' 为标准输入（缺省时询问）")
      ->type_name("FILE")
      ->excludes("--key");
  Option(open, "--sha256", open_package_.sha256,
         "What `archive package` said; required where changes do not show",
         "`archive package` 给出的校验值；不能发现篡改的算法必须给出");
  Flag(open, "--force", open_package_.force, "Replaces an existing file", "覆盖已有文件");
}

void Grammar::AddEncryption(CLI::App* command, EncryptionFlags& flags) {
  Option(command, "--encrypt", flags.cipher,
         "aes-256-gcm (default); aes-256-cbc or sm4-cbc, which do not show changes",
         "aes-256-gcm（缺省）；aes-256-cbc 或 sm4-cbc 不能发现篡改")
      ->check(CLI::IsMember({"aes-256-gcm", "aes-256-cbc", "sm4-cbc"}));
  Option(command, "--recipient", flags.recipients, "Encrypts for this certificate; one or several",
         "为此证书加密；可给出多个")
      ->type_name("FILE");
  Option(command, "--password-file", flags.password_file,
         "Encrypts with the password in this file; '-': standard input",
         "用此文件中的密码加密；'-' 为标准输入")
      ->type_name("FILE")
      ->excludes("--recipient");
}

void Grammar::AddPackaging(CLI::App* command, PackagingFlags& flags) {
  Option(command, "--package-format", flags.form, "Of what channels hand on: zip (default), tar.gz",
         "渠道交付的文件格式：zip（缺省）或 tar.gz")
      ->check(CLI::IsMember({"zip", "tar.gz"}));
  AddEncryption(command, flags.encryption);
  Option(command, "--page-password-file", flags.page_password_file,
         "Visitors of pages have to say the password in this file; '-': standard input",
         "访问发布页需输入此文件中的密码；'-' 为标准输入")
      ->type_name("FILE");
}

}  // namespace slipway::cli
