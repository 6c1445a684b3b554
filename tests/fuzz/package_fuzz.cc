// Encrypted packages from anybody: whatever is changed in one, it is refused or opens to what was
// packed; other bytes are read within bounds and open to nothing.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "common/base/check.h"
#include "common/crypto/package_cms.h"
#include "common/crypto/pki.h"
#include "common/fs/files.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

struct Genuine {
  crypto::PackageKey key;
  std::string content;
  std::string package;
};

Genuine Make() {
  Genuine genuine;
  const WallTime now = SystemClock().Wall();
  auto pair = crypto::CreateEncryptionCertificate(FarmId("farm-1"), now);
  SLIPWAY_CHECK(pair.ok());
  genuine.key.private_key = std::move(pair->key_pem);
  for (int i = 0; i < 9000; ++i) genuine.content += static_cast<char>(i * 7919 >> 3);
  crypto::PackageRecipients recipients;
  recipients.certificates.push_back(pair->certificate_pem);
  SLIPWAY_CHECK(crypto::CheckPackageRecipients(recipients, now).ok());
  auto sealer = crypto::PackageSealer::Create(crypto::PackageCipher::kAes256Gcm, recipients,
                                              [&](std::string_view bytes) {
                                                genuine.package += bytes;
                                                return absl::OkStatus();
                                              });
  SLIPWAY_CHECK(sealer.ok());
  SLIPWAY_CHECK(sealer->Append(genuine.content).ok());
  SLIPWAY_CHECK(sealer->Finish().ok());
  return genuine;
}

// True: it opened, to *content.
bool Open(std::string_view package, const crypto::PackageKey& key, std::string* content) {
  const fs::UniqueFd file(memfd_create("package", MFD_CLOEXEC));
  SLIPWAY_CHECK(file.valid());
  SLIPWAY_CHECK(fs::WriteAll(file.get(), package, "package").ok());
  content->clear();
  const auto facts = crypto::ReadPackageFacts(file.get());
  const absl::Status opened = crypto::OpenPackage(file.get(), key, [&](std::string_view bytes) {
    *content += bytes;
    // Nothing grows on its way.
    SLIPWAY_CHECK(content->size() <= package.size());
    return absl::OkStatus();
  });
  SLIPWAY_CHECK(facts.ok() || !opened.ok());
  return opened.ok() && crypto::IsAuthenticated(facts->cipher);
}

void Check(ByteSource in) {
  static const Genuine kGenuine = Make();
  std::string content;
  if (!in.Flag()) {
    SLIPWAY_CHECK(!Open(in.Rest(), kGenuine.key, &content));
    return;
  }
  std::string changed = kGenuine.package;
  for (std::size_t changes = 1 + in.Below(4); changes > 0; --changes) {
    const std::size_t at = in.Number(2) % (changed.size() + 1);
    const std::string_view bytes = in.Bytes(in.Below(9));
    switch (in.Below(3)) {
      case 0: changed.insert(at, bytes); break;
      case 1: changed.erase(at, bytes.size()); break;
      default: changed.replace(at, bytes.size(), bytes); break;
    }
  }
  if (Open(changed, kGenuine.key, &content)) SLIPWAY_CHECK(content == kGenuine.content);
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
