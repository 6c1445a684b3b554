#include "common/crypto/package_envelope.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "common/crypto/openssl_ptr.h"
#include "common/status/status.h"

namespace slipway::crypto::internal {
namespace {

using absl::StatusCode;

constexpr unsigned char kInteger = 0x02;
constexpr unsigned char kOctets = 0x04;
constexpr unsigned char kOid = 0x06;
constexpr unsigned char kSequence = 0x30;
constexpr unsigned char kSet = 0x31;
constexpr unsigned char kExplicit0 = 0xa0;
constexpr unsigned char kKeyTransport = kSequence;
constexpr unsigned char kKeyAgreement = 0xa1;
constexpr unsigned char kPasswordRecipient = 0xa3;
// Some seconds of one core; Slipway makes about a quarter of them.
constexpr std::uint64_t kMaxPasswordRounds = 5'000'000;
constexpr std::size_t kTagBytes = 16;
// Of what stands before the content: 16 recipients need far less.
constexpr std::uint64_t kMaxElement = 256 * 1024;

struct Head {
  unsigned char tag = 0;
  bool indefinite = false;
  std::uint64_t length = 0;
};

// Walks over the elements of a file, which is read in pieces.
class Walker {
 public:
  Walker(int fd, std::uint64_t size, std::uint64_t position = 0)
      : fd_(fd), size_(size), position_(position) {}

  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] bool at_end() const { return position_ == size_; }

  absl::StatusOr<Head> ReadHead() {
    Head head;
    SLIPWAY_ASSIGN_OR_RETURN(head.tag, ReadByte());
    if ((head.tag & 0x1f) == 0x1f) return BrokenPackage("its structure is damaged");
    SLIPWAY_ASSIGN_OR_RETURN(const unsigned char first, ReadByte());
    if (first < 0x80) {
      head.length = first;
    } else if (first == 0x80) {
      head.indefinite = true;
    } else {
      if ((first & 0x7f) > 8) return BrokenPackage("its structure is damaged");
      for (int i = 0; i < (first & 0x7f); ++i) {
        SLIPWAY_ASSIGN_OR_RETURN(const unsigned char next, ReadByte());
        head.length = head.length << 8 | next;
      }
    }
    if (!head.indefinite && head.length > size_ - position_) return BrokenPackage("it is cut off");
    return head;
  }

  // A small element with this tag and a length: all of it, and where its content begins.
  absl::StatusOr<std::string> ReadElement(unsigned char tag, std::size_t* content = nullptr) {
    const std::uint64_t begin = position_;
    SLIPWAY_ASSIGN_OR_RETURN(const Head head, ReadHead());
    if (head.tag != tag || head.indefinite || head.length > kMaxElement) {
      return BrokenPackage("it is not of a kind that Slipway makes");
    }
    const std::uint64_t header = position_ - begin;
    if (content != nullptr) *content = header;
    position_ = begin;
    std::string whole(header + head.length, '\0');
    for (char& c : whole) {
      SLIPWAY_ASSIGN_OR_RETURN(const unsigned char byte, ReadByte());
      c = static_cast<char>(byte);
    }
    return whole;
  }

  absl::Status Enter(unsigned char tag) {
    SLIPWAY_ASSIGN_OR_RETURN(const Head head, ReadHead());
    if (head.tag != tag) return BrokenPackage("it is not of a kind that Slipway makes");
    Open(head);
    return absl::OkStatus();
  }
  void Open(const Head& head) {
    open_.push_back(head.indefinite ? kIndefinite : position_ + head.length);
  }
  // True: nothing follows in the innermost element; it has been left.
  absl::StatusOr<bool> LeaveIfDone() {
    const std::uint64_t end = open_.back();
    if (end == kIndefinite) {
      SLIPWAY_ASSIGN_OR_RETURN(const unsigned char next, ReadByte());
      if (next != 0) {
        --position_;
        return false;
      }
      SLIPWAY_ASSIGN_OR_RETURN(const unsigned char zero, ReadByte());
      if (zero != 0) return BrokenPackage("its structure is damaged");
    } else if (position_ != end) {
      return false;
    }
    open_.pop_back();
    return true;
  }
  absl::Status Leave() {
    SLIPWAY_ASSIGN_OR_RETURN(const bool left, LeaveIfDone());
    return left ? absl::OkStatus() : BrokenPackage("it is not of a kind that Slipway makes");
  }
  absl::Status Skip(std::uint64_t n) {
    if (n > size_ - position_) return BrokenPackage("it is cut off");
    position_ += n;
    return absl::OkStatus();
  }

 private:
  static constexpr std::uint64_t kIndefinite = UINT64_MAX;

  absl::StatusOr<unsigned char> ReadByte() {
    if (position_ < begin_ || position_ >= begin_ + filled_) {
      const ssize_t n = pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(position_));
      if (n < 0) return ErrnoError(errno, "read the package");
      if (n == 0) return BrokenPackage("it is cut off");
      begin_ = position_;
      filled_ = static_cast<std::size_t>(n);
    }
    return static_cast<unsigned char>(buffer_[position_++ - begin_]);
  }

  const int fd_;
  const std::uint64_t size_;
  std::uint64_t position_;
  std::vector<std::uint64_t> open_;  // where each ends, from the outermost on
  // What was read last, from `begin_` on.
  std::array<char, 4096> buffer_{};
  std::uint64_t begin_ = 0;
  std::size_t filled_ = 0;
};

int NidOf(const std::string& oid) {
  const auto* position = reinterpret_cast<const unsigned char*>(oid.data());
  const OpensslPtr<ASN1_OBJECT, ASN1_OBJECT_free> object(
      d2i_ASN1_OBJECT(nullptr, &position, static_cast<long>(oid.size())));
  ERR_clear_error();
  return object == nullptr ? NID_undef : OBJ_obj2nid(object.get());
}

// The algorithm of an AlgorithmIdentifier.
int AlgorithmOf(std::string_view whole, std::size_t content) {
  const std::string_view inside = whole.substr(content);
  if (inside.size() < 2 || static_cast<unsigned char>(inside[0]) != kOid ||
      static_cast<unsigned char>(inside[1]) + std::size_t{2} > inside.size()) {
    return NID_undef;
  }
  return NidOf(std::string(inside.substr(0, static_cast<unsigned char>(inside[1]) + 2U)));
}

std::string Element(unsigned char tag, const std::string& content) {
  std::string length;
  for (std::size_t rest = content.size(); rest != 0; rest >>= 8) {
    length.insert(length.begin(), static_cast<char>(rest & 0xff));
  }
  std::string whole(1, static_cast<char>(tag));
  if (content.size() < 0x80) {
    whole += static_cast<char>(content.size());
  } else {
    whole += static_cast<char>(0x80 | length.size());
    whole += length;
  }
  return whole + content;
}

// The content's pieces, which follow each other; the sum of their sizes.
absl::StatusOr<std::uint64_t> WalkPieces(Walker& walker) {
  std::uint64_t size = 0;
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(const bool done, walker.LeaveIfDone());
    if (done) return size;
    SLIPWAY_ASSIGN_OR_RETURN(const Head head, walker.ReadHead());
    if (head.tag != kOctets || head.indefinite) return BrokenPackage("its structure is damaged");
    SLIPWAY_RETURN_IF_ERROR(walker.Skip(head.length));
    size += head.length;
  }
}

absl::StatusOr<PackageCipher> CipherOf(int algorithm, bool authenticated) {
  if (authenticated && algorithm == NID_aes_256_gcm) return PackageCipher::kAes256Gcm;
  if (!authenticated && algorithm == NID_aes_256_cbc) return PackageCipher::kAes256Cbc;
  if (!authenticated && algorithm == NID_sm4_cbc) return PackageCipher::kSm4Cbc;
  return BrokenPackage("it is not of a kind that Slipway makes");
}

// One element of a few bytes in memory, in DER as Slipway makes it: OpenSSL must not see in it
// what this did not, so no long tags and no indefinite lengths.
struct Part {
  unsigned char tag = 0;
  std::string_view content;
};

absl::StatusOr<Part> TakePart(std::string_view& rest) {
  const auto byte = [&rest](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
  const absl::Status damaged = BrokenPackage("its structure is damaged");
  if (rest.size() < 2 || (byte(0) & 0x1f) == 0x1f) return damaged;
  std::size_t header = 2;
  std::size_t length = byte(1);
  if (length >= 0x80) {
    const std::size_t bytes = length & 0x7f;
    if (bytes == 0 || bytes > 4 || rest.size() < header + bytes) return damaged;
    length = 0;
    for (; header < 2 + bytes; ++header) length = length << 8 | byte(header);
  }
  if (length > rest.size() - header) return damaged;
  const Part part{byte(0), rest.substr(header, length)};
  rest.remove_prefix(header + length);
  return part;
}

absl::StatusOr<std::string_view> TakePart(std::string_view& rest, unsigned char tag) {
  SLIPWAY_ASSIGN_OR_RETURN(const Part part, TakePart(rest));
  if (part.tag != tag) return BrokenPackage("it is not of a kind that Slipway makes");
  return part.content;
}

// How long it takes to try a password is the file's to say.
absl::Status CheckPasswordRecipient(std::string_view info) {
  SLIPWAY_RETURN_IF_ERROR(TakePart(info, kInteger).status());
  SLIPWAY_ASSIGN_OR_RETURN(std::string_view derivation, TakePart(info, kExplicit0));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view oid, TakePart(derivation, kOid));
  if (NidOf(Element(kOid, std::string(oid))) != NID_id_pbkdf2) {
    return BrokenPackage("it is not of a kind that Slipway makes");
  }
  SLIPWAY_ASSIGN_OR_RETURN(std::string_view parameters, TakePart(derivation, kSequence));
  SLIPWAY_RETURN_IF_ERROR(TakePart(parameters, kOctets).status());
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view rounds, TakePart(parameters, kInteger));
  // A key length or another hash function.
  if (!parameters.empty() || !derivation.empty()) {
    return BrokenPackage("it is not of a kind that Slipway makes");
  }
  std::uint64_t count = 0;
  for (const char c : rounds.substr(0, 8)) count = count << 8 | static_cast<unsigned char>(c);
  const bool negative = !rounds.empty() && (rounds.front() & 0x80) != 0;
  if (rounds.empty() || rounds.size() > 8 || negative || count == 0 || count > kMaxPasswordRounds) {
    return BrokenPackage("to try a password would take too long");
  }
  return absl::OkStatus();
}

// True: it is for a password. `set` is the content of the recipients' set.
absl::StatusOr<bool> ReadRecipients(std::string_view set) {
  std::size_t certificates = 0;
  std::size_t passwords = 0;
  while (!set.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const Part part, TakePart(set));
    switch (part.tag) {
      case kKeyTransport:
      case kKeyAgreement: ++certificates; break;
      case kPasswordRecipient:
        SLIPWAY_RETURN_IF_ERROR(CheckPasswordRecipient(part.content));
        ++passwords;
        break;
      default: return BrokenPackage("it is not of a kind that Slipway makes");
    }
  }
  if (passwords > 1 || (passwords == 1 && certificates > 0) ||
      certificates > kMaxPackageRecipients) {
    return BrokenPackage("it has more recipients than Slipway makes packages for");
  }
  return passwords == 1;
}

}  // namespace

absl::Status BrokenPackage(std::string_view why) {
  return MakeError(StatusCode::kInvalidArgument, "PACKAGE_BROKEN",
                   fmt::format("the package cannot be opened: {}", why));
}

absl::StatusOr<Envelope> ReadEnvelope(int fd) {
  struct stat facts {};
  if (fstat(fd, &facts) != 0) return ErrnoError(errno, "read the package");
  if (!S_ISREG(facts.st_mode)) return BrokenPackage("it is not a regular file");
  Walker walker(fd, static_cast<std::uint64_t>(facts.st_size));
  Envelope envelope;
  std::size_t at = 0;

  SLIPWAY_RETURN_IF_ERROR(walker.Enter(kSequence));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string type, walker.ReadElement(kOid));
  const int kind = NidOf(type);
  const bool authenticated = kind == NID_id_smime_ct_authEnvelopedData;
  if (!authenticated && kind != NID_pkcs7_enveloped) {
    return BrokenPackage("it is not of a kind that Slipway makes");
  }
  SLIPWAY_RETURN_IF_ERROR(walker.Enter(kExplicit0));
  SLIPWAY_RETURN_IF_ERROR(walker.Enter(kSequence));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string version, walker.ReadElement(kInteger));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string recipients, walker.ReadElement(kSet, &at));
  SLIPWAY_ASSIGN_OR_RETURN(envelope.facts.for_password,
                           ReadRecipients(std::string_view(recipients).substr(at)));

  SLIPWAY_RETURN_IF_ERROR(walker.Enter(kSequence));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string content_type, walker.ReadElement(kOid));
  if (NidOf(content_type) != NID_pkcs7_data) {
    return BrokenPackage("it is not of a kind that Slipway makes");
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::string algorithm, walker.ReadElement(kSequence, &at));
  SLIPWAY_ASSIGN_OR_RETURN(envelope.facts.cipher,
                           CipherOf(AlgorithmOf(algorithm, at), authenticated));
  SLIPWAY_RETURN_IF_ERROR(walker.Enter(kExplicit0));
  envelope.content = walker.position();
  SLIPWAY_ASSIGN_OR_RETURN(envelope.size, WalkPieces(walker));
  SLIPWAY_RETURN_IF_ERROR(walker.Leave());

  // OpenSSL takes a tag of any length, one that can be guessed, too.
  std::string tag;
  if (authenticated) {
    SLIPWAY_ASSIGN_OR_RETURN(tag, walker.ReadElement(kOctets, &at));
    if (tag.size() - at != kTagBytes) {
      return BrokenPackage("its authentication tag is not of 16 bytes");
    }
  }
  for (int i = 0; i < 3; ++i) SLIPWAY_RETURN_IF_ERROR(walker.Leave());
  if (!walker.at_end()) return BrokenPackage("something follows behind its end");

  const std::string info = Element(kSequence, content_type + algorithm);
  const std::string enveloped = Element(kSequence, version + recipients + info + tag);
  envelope.der = Element(kSequence, type + Element(kExplicit0, enveloped));
  return envelope;
}

absl::StatusOr<std::size_t> ContentReader::Read(std::span<char> buffer) {
  while (piece_ == 0 && left_ > 0) {
    Walker walker(fd_, UINT64_MAX, position_);
    SLIPWAY_ASSIGN_OR_RETURN(const Head head, walker.ReadHead());
    if (head.tag != kOctets || head.indefinite || head.length > left_) {
      return BrokenPackage("it changed while it was read");
    }
    position_ = walker.position();
    piece_ = head.length;
  }
  if (left_ == 0) return 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), piece_));
  const ssize_t n = pread(fd_, buffer.data(), wanted, static_cast<off_t>(position_));
  if (n < 0) return ErrnoError(errno, "read the package");
  if (n == 0) return BrokenPackage("it changed while it was read");
  position_ += static_cast<std::uint64_t>(n);
  piece_ -= static_cast<std::uint64_t>(n);
  left_ -= static_cast<std::uint64_t>(n);
  return static_cast<std::size_t>(n);
}

}  // namespace slipway::crypto::internal
