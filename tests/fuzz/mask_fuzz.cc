// The masker hides every form of every secret, and how the stream was cut never shows.
#include <algorithm>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/mask/secret_forms.h"
#include "common/mask/secret_masker.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using mask::SecretMasker;

constexpr std::size_t kMaxStream = 1024;

// The definition of masking, as slow as it is plain.
std::string Reference(const std::vector<std::string>& forms, std::string_view stream) {
  std::string out;
  for (std::size_t at = 0; at < stream.size();) {
    std::size_t longest = 0;
    for (const std::string& form : forms) {
      if (stream.substr(at).starts_with(form)) longest = std::max(longest, form.size());
    }
    if (longest > 0) {
      out += SecretMasker::kReplacement;
      at += longest;
    } else {
      out += stream[at++];
    }
  }
  return out;
}

// Literal bytes, secrets, their forms and beginnings of them, as the input says.
std::string MakeStream(ByteSource& in, const std::vector<std::string>& secrets,
                       const std::vector<std::string>& forms) {
  std::string stream;
  while (!in.empty() && stream.size() < kMaxStream) {
    switch (in.Below(4)) {
      case 0: stream += in.Bytes(1 + in.Below(16)); break;
      case 1: stream += secrets[in.Byte() % secrets.size()]; break;
      case 2:
        if (!forms.empty()) stream += forms[in.Number(2) % forms.size()];
        break;
      default:
        if (forms.empty()) break;
        const std::string& form = forms[in.Number(2) % forms.size()];
        stream += form.substr(0, in.Byte() % form.size());
        break;
    }
  }
  return stream;
}

std::string FeedInPieces(SecretMasker& masker, std::size_t longest, std::string_view stream,
                         std::string_view sizes) {
  std::string out;
  for (std::size_t i = 0; !stream.empty(); ++i) {
    const std::size_t wanted =
        sizes.empty() ? 1 : static_cast<unsigned char>(sizes[i % sizes.size()]);
    const std::string_view piece = stream.substr(0, wanted);
    masker.Feed(piece, &out);
    SLIPWAY_CHECK(masker.held() < std::max<std::size_t>(longest, 1));
    stream.remove_prefix(piece.size());
    // Sizes of nothing but zero would never end.
    if (wanted == 0 && i % sizes.size() == 0) sizes = "";
  }
  masker.Flush(&out);
  SLIPWAY_CHECK(masker.held() == 0);
  return out;
}

void Check(ByteSource in) {
  std::vector<std::string> secrets(1 + in.Below(3));
  for (std::string& secret : secrets) secret = in.Bytes(in.Byte() % 80);
  const std::string_view sizes = in.Bytes(in.Below(9));

  std::vector<std::string> forms;
  for (const std::string& secret : secrets) {
    for (std::string& form : mask::SecretForms(secret)) {
      SLIPWAY_CHECK(form.size() >= mask::kMinSecret);
      forms.push_back(std::move(form));
    }
  }
  std::size_t longest = 0;
  for (const std::string& form : forms) longest = std::max(longest, form.size());
  const std::string stream = MakeStream(in, secrets, forms);

  SecretMasker masker(secrets);
  const std::string whole = masker.Mask(stream);
  SLIPWAY_CHECK(whole == Reference(forms, stream));
  SLIPWAY_CHECK(FeedInPieces(masker, longest, stream, sizes) == whole);
  SLIPWAY_CHECK(FeedInPieces(masker, longest, stream, "") == whole);
  for (const std::string& form : forms) {
    // A secret made of stars may appear where a replacement meets its neighbours.
    if (form.find('*') != std::string::npos) continue;
    SLIPWAY_CHECK(whole.find(form) == std::string::npos);
  }
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
