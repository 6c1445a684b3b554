#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "common/crypto/hash.h"
#include "common/crypto/package_cms.h"
#include "common/fs/files.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/format.h"
#include "controller/cli/new_file.h"
#include "controller/cli/packaging.h"
#include "controller/cli/progress.h"
#include "controller/cli/secret_files.h"
#include "controller/cli/stream_retry.h"

namespace slipway::cli {
namespace {

using crypto::SecretBytes;

constexpr std::string_view kSuffix = ".cms";

absl::Status BadFlags(const char* text, const char* remedy) {
  return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS", text, remedy));
}

// The request without what is read from files, as far as it can be checked here.
absl::StatusOr<v1::DownloadPackageRequest> RequestOf(Session& session, const PackageFlags& flags) {
  v1::DownloadPackageRequest request;
  request.set_name(flags.name);
  request.set_form(flags.form == "zip" ? v1::PACKAGE_FORM_ZIP : v1::PACKAGE_FORM_TAR_GZ);
  if (!Encrypts(flags.encryption)) return request;
  SLIPWAY_RETURN_IF_ERROR(ReadEncryption(session, flags.encryption, *request.mutable_encryption()));
  return request;
}

// Wipes a request's password, however the command ends.
class Forgetting {
 public:
  explicit Forgetting(v1::DownloadPackageRequest& request) : request_(request) {}
  ~Forgetting() {
    if (!request_.has_encryption()) return;
    std::string& password = *request_.mutable_encryption()->mutable_password();
    crypto::Wipe(password.data(), password.size());
  }
  Forgetting(const Forgetting&) = delete;
  Forgetting& operator=(const Forgetting&) = delete;

 private:
  v1::DownloadPackageRequest& request_;
};

absl::Status Damaged(Text t) {
  return MakeError(absl::StatusCode::kDataLoss, "PACKAGE_DAMAGED",
                   t("what came is not the package that the controller sent",
                     "收到的内容与控制器发出的产物包不一致"),
                   t("Fetch it again.", "请重新获取。"));
}

absl::Status NotAsAsked(Text t) {
  return MakeError(absl::StatusCode::kDataLoss, "PACKAGE_NOT_AS_ASKED",
                   t("what came is not encrypted as was asked for, and is not kept",
                     "收到的产物包未按要求加密，已丢弃"),
                   t("Check which controller answers, and that nothing changes its answers.",
                     "请确认应答的是哪个控制器，以及应答没有被改动。"));
}

// What the controller says it sends. Who wanted a file for some must not get one for everybody.
absl::Status CheckHeader(const v1::PackageHeader& header, const v1::DownloadPackageRequest& request,
                         Text t) {
  const v1::PackageEncryption& asked = request.encryption();
  crypto::PackageRecipients recipients;
  recipients.certificates.assign(asked.recipients().begin(), asked.recipients().end());
  const auto fingerprints = crypto::FingerprintsOf(recipients);
  const bool same =
      header.cipher() == asked.cipher() &&
      header.authenticated() == (asked.cipher() == v1::PACKAGE_CIPHER_AES_256_GCM) &&
      std::equal(header.recipients().begin(), header.recipients().end(), fingerprints.begin(),
                 fingerprints.end(),
                 [](const std::string& a, const Sha256Digest& b) { return a == b.Bytes(); });
  return same ? absl::OkStatus() : NotAsAsked(t);
}

// What it sent.
absl::Status CheckContent(int fd, const v1::DownloadPackageRequest& request, Text t) {
  if (!request.has_encryption()) return absl::OkStatus();
  const auto facts = crypto::ReadPackageFacts(fd);
  if (!facts.ok() && facts.status().code() != absl::StatusCode::kInvalidArgument) {
    return facts.status();
  }
  const v1::PackageEncryption& asked = request.encryption();
  const bool same = facts.ok() && ToProto(facts->cipher) == asked.cipher() &&
                    facts->for_password == asked.recipients().empty();
  return same ? absl::OkStatus() : NotAsAsked(t);
}

// Before anything is fetched or opened for nothing.
absl::Status CheckFree(const std::string& path, bool force, Text t) {
  std::error_code ignored;
  if (force || path.empty() || !std::filesystem::exists(path, ignored)) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAlreadyExists, "FILE_EXISTS",
                   fmt::format(fmt::runtime(t("{} exists already", "{} 已存在")), path),
                   t("--force replaces it.", "用 --force 覆盖。"));
}

// What came of one stream.
struct Received {
  v1::PackageHeader header;
  v1::PackageTrailer trailer;
  std::string path;
  std::optional<NewFile> file;
};

// The name that the controller gives may lead nowhere else.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' && name.front() != '-' &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

absl::StatusOr<Received> Receive(const Client& client, const v1::DownloadPackageRequest& request,
                                 const PackageFlags& flags, Text t, ProgressBar& bar,
                                 const std::function<void()>& heard) {
  grpc::ClientContext context;
  client.Prepare(context, 0);
  const std::stop_callback cancel(client.stop(), [&context] { context.TryCancel(); });
  const auto reader = client.releases().DownloadPackage(&context, request);
  Received received;
  crypto::Sha256Hasher hasher;
  std::uint64_t size = 0;
  bool whole = false;
  const auto take = [&](const v1::DownloadPackageResponse& message) -> absl::Status {
    if (whole || message.has_header() == received.file.has_value()) return Damaged(t);
    if (message.has_header()) {
      received.header = message.header();
      SLIPWAY_RETURN_IF_ERROR(CheckHeader(received.header, request, t));
      received.path = flags.out_file.empty() ? received.header.file_name() : flags.out_file;
      if (flags.out_file.empty() && !IsPlainName(received.path)) return Damaged(t);
      SLIPWAY_RETURN_IF_ERROR(CheckFree(received.path, flags.force, t));
      SLIPWAY_ASSIGN_OR_RETURN(NewFile file, NewFile::Create(received.path));
      received.file.emplace(std::move(file));
    } else if (message.has_trailer()) {
      received.trailer = message.trailer();
      whole = true;
      const auto digest = Sha256Digest::FromBytes(received.trailer.sha256());
      if (!digest || hasher.Finish() != *digest || size != received.trailer.size()) {
        return Damaged(t);
      }
      return CheckContent(received.file->fd(), request, t);
    } else {
      hasher.Update(message.data());
      size += message.data().size();
      bar.Show(size, 0);
      return received.file->Write(message.data());
    }
    return absl::OkStatus();
  };
  absl::Status wrong;
  v1::DownloadPackageResponse message;
  while (wrong.ok() && reader->Read(&message)) {
    heard();
    wrong = take(message);
  }
  if (!wrong.ok()) {
    context.TryCancel();
    (void)reader->Finish();
    return wrong;
  }
  SLIPWAY_RETURN_IF_ERROR(client.Outcome(context, reader->Finish()));
  if (!whole) return Damaged(t);
  return received;
}

// For whoever gets the file.
std::string HowToOpen(const Received& received, const std::string& sha256, Text t) {
  const v1::PackageHeader& header = received.header;
  if (header.cipher() == v1::PACKAGE_CIPHER_UNSPECIFIED) return "";
  std::string plain = received.path;
  if (plain.ends_with(kSuffix)) plain.resize(plain.size() - kSuffix.size());
  const bool password = header.recipients().empty();
  const std::string hash = header.authenticated() ? "" : " --sha256 " + sha256;
  std::string text = t("to open it:\n", "打开方法：\n");
  text += fmt::format("  slipway archive open {}{}{}\n", received.path,
                      password ? "" : " --key KEY.pem", hash);
  text += fmt::format("  openssl cms -decrypt -inform DER -in {} {} -out {}\n", received.path,
                      password ? "-pwri_password \"$(cat FILE)\"" : "-inkey KEY.pem", plain);
  if (password) {
    text += t("  (openssl shows the password to everybody on that machine)\n",
              "  （openssl 会让该机器上的所有人看到密码）\n");
  }
  if (!header.authenticated()) {
    text +=
        t("warning: this algorithm does not show changes; compare the SHA-256 before opening "
          "it, and tell it on another way than the file\n",
          "警告：该算法不能发现篡改；打开前请核对 SHA-256，并通过另外的途径告知\n");
  }
  return text;
}

absl::StatusOr<Sha256Digest> DigestOf(int fd, const std::string& path) {
  crypto::Sha256Hasher hasher;
  std::string buffer(256 * 1024, '\0');
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(fd, buffer, path));
    if (n == 0) return hasher.Finish();
    hasher.Update({buffer.data(), n});
  }
}

// Ok: the file is what its maker said, or shows itself when it is not.
absl::Status CheckGenuine(int fd, const OpenPackageFlags& flags, const crypto::PackageFacts& facts,
                          Text t) {
  if (flags.sha256.empty()) {
    if (crypto::IsAuthenticated(facts.cipher)) return absl::OkStatus();
    return BadFlags(t("this package's algorithm does not show whether it was changed",
                      "该产物包的算法不能发现篡改"),
                    t("Give --sha256 with what the package's maker says.",
                      "请用 --sha256 给出制作者提供的校验值。"));
  }
  const auto expected = Sha256Digest::Parse(flags.sha256);
  if (!expected) {
    return BadFlags(t("--sha256: not 64 hex digits", "--sha256：不是 64 位十六进制数"), "");
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Sha256Digest actual, DigestOf(fd, flags.file));
  if (actual == *expected) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kDataLoss, "PACKAGE_CHANGED",
      fmt::format(fmt::runtime(t("{} has another SHA-256: {}", "{} 的 SHA-256 不同：{}")),
                  flags.file, actual.Hex()),
      t("Fetch it again.", "请重新获取。"));
}

// Lets nothing through that does not begin as packages do. With an RSA key that is not its
// recipient's OpenSSL goes on with a random one; without authentication one in 256 of those
// "opens".
class ContentWriter {
 public:
  ContentWriter(NewFile& file, Text text) : file_(file), text_(text) {}

  absl::Status Write(std::string_view bytes) {
    if (begun_) return file_.Write(bytes);
    start_ += bytes;
    if (start_.size() < kStart) return absl::OkStatus();
    const bool zip = start_.starts_with("PK\x03\x04") || start_.starts_with("PK\x05\x06");
    if (!zip && !start_.starts_with("\x1f\x8b\x08")) return Other();
    begun_ = true;
    return file_.Write(start_);
  }
  [[nodiscard]] absl::Status Finish() const { return begun_ ? absl::OkStatus() : Other(); }

 private:
  static constexpr std::size_t kStart = 4;

  [[nodiscard]] absl::Status Other() const {
    return MakeError(absl::StatusCode::kDataLoss, "PACKAGE_CHANGED",
                     text_("what is in it is no zip or tar.gz file: the package was changed, or "
                           "the key is not its recipient's",
                           "其内容不是 zip 或 tar.gz 文件：产物包已被篡改，或私钥不属于接收者"),
                     text_("Use the recipient's key; else fetch the package again.",
                           "请使用接收者的私钥；否则请重新获取产物包。"));
  }

  NewFile& file_;
  const Text text_;
  std::string start_;
  bool begun_ = false;
};

absl::StatusOr<crypto::PackageKey> KeyOf(Session& session, const OpenPackageFlags& flags,
                                         const crypto::PackageFacts& facts) {
  const Text t = session.text;
  crypto::PackageKey key;
  if (!flags.key_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(key.private_key, ReadSecretFile(session, flags.key_file));
    return key;
  }
  if (!facts.for_password) {
    return BadFlags(t("this package was made for certificates", "该产物包是为证书加密的"),
                    t("Give --key with the private key of one of them.",
                      "请用 --key 给出其中一个证书的私钥。"));
  }
  if (flags.password_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(key.password, AskPackagePassword(session, false));
  } else {
    SLIPWAY_ASSIGN_OR_RETURN(key.password, ReadPassword(session, flags.password_file));
  }
  if (key.password.empty()) return BadFlags(t("the password is empty", "密码为空"), "");
  return key;
}

}  // namespace

Outcome Package(Session& session, const PackageFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  SLIPWAY_RETURN_IF_ERROR(CheckFree(flags.out_file, flags.force, t));
  SLIPWAY_ASSIGN_OR_RETURN(v1::DownloadPackageRequest request, RequestOf(session, flags));
  const Forgetting at_the_end(request);
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  std::optional<Received> received;
  absl::Status status;
  {
    ProgressBar bar(session.err, session.err_is_terminal, t);
    status = RetryStream(
        *client, kFromTheStart, session.stop, [](const absl::Status&) {},
        [&](const std::function<void()>& heard) -> absl::Status {
          auto one = Receive(*client, request, flags, t, bar, heard);
          SLIPWAY_RETURN_IF_ERROR(one.status());
          received.emplace(*std::move(one));
          return absl::OkStatus();
        });
  }
  SLIPWAY_RETURN_IF_ERROR(status);
  SLIPWAY_RETURN_IF_ERROR(received->file->Finish(flags.force, t));
  const std::string sha256 = Sha256Digest::FromBytes(received->trailer.sha256())->Hex();
  if (session.as_document) {
    session.PrintDocument(received->trailer);
  } else {
    // As sha256sum has it.
    session.out << fmt::format("{}  {}\n", sha256, received->path);
  }
  session.err << HowToOpen(*received, sha256, t);
  return ExitCode::kOk;
}

Outcome OpenPackage(Session& session, const OpenPackageFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  std::string out = flags.out_file;
  if (out.empty()) {
    out = flags.file;
    if (!out.ends_with(kSuffix) || out.size() == kSuffix.size()) {
      return BadFlags(t("where to?", "写到哪里？"), t("Give --out.", "请给出 --out。"));
    }
    out.resize(out.size() - kSuffix.size());
  }
  SLIPWAY_RETURN_IF_ERROR(CheckFree(out, flags.force, t));
  // O_NONBLOCK: a FIFO in the place of the file must not hang the program.
  const fs::UniqueFd file(open(flags.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return ErrnoError(errno, flags.file);
  SLIPWAY_ASSIGN_OR_RETURN(const crypto::PackageFacts facts, crypto::ReadPackageFacts(file.get()));
  SLIPWAY_RETURN_IF_ERROR(CheckGenuine(file.get(), flags, facts, t));
  SLIPWAY_ASSIGN_OR_RETURN(const crypto::PackageKey key, KeyOf(session, flags, facts));
  // Only some could open the package, and what comes is not proved before its end.
  SLIPWAY_ASSIGN_OR_RETURN(NewFile opened, NewFile::Create(out, NewFile::Readers::kOwner));
  ContentWriter content(opened, t);
  SLIPWAY_RETURN_IF_ERROR(
      crypto::OpenPackage(file.get(), key, [&](std::string_view bytes) -> absl::Status {
        if (session.stop.stop_requested()) return InterruptedError();
        return content.Write(bytes);
      }));
  SLIPWAY_RETURN_IF_ERROR(content.Finish());
  SLIPWAY_RETURN_IF_ERROR(opened.Finish(flags.force, t));
  session.out << out << "\n";
  return ExitCode::kOk;
}

}  // namespace slipway::cli
