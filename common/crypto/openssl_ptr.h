#pragma once

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Owners of OpenSSL's objects and the one converter of its error queue. Only for the .cc files of
// common/crypto.
namespace slipway::crypto::internal {

template <auto kFree>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <typename T, auto kFree>
using OpensslPtr = std::unique_ptr<T, OpensslFree<kFree>>;

using BioPtr = OpensslPtr<BIO, BIO_free_all>;
using CmsPtr = OpensslPtr<CMS_ContentInfo, CMS_ContentInfo_free>;
using DigestContextPtr = OpensslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using GeneralNamesPtr = OpensslPtr<GENERAL_NAMES, GENERAL_NAMES_free>;
using PkeyPtr = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using RequestPtr = OpensslPtr<X509_REQ, X509_REQ_free>;
using X509Ptr = OpensslPtr<X509, X509_free>;

// Empties this thread's error queue into one status: "`what`: OpenSSL's own words". Call it on the
// thread that failed.
absl::Status StatusFromOpenSsl(absl::StatusCode code, std::string_view what);

// A read-only view of `bytes` as a BIO; `bytes` must outlive it.
BioPtr ReadBio(std::string_view bytes);
// A growing memory BIO. `secret`: its memory is wiped when freed.
BioPtr MemoryBio(bool secret);
// What has been written to a memory BIO; valid until the next write.
std::string_view BioView(BIO* bio);

}  // namespace slipway::crypto::internal
