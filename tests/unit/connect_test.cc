#include "controller/gateway/connect.h"

#include <catch2/catch.hpp>
#include <string>

#include "controller/gateway/envelope.h"
#include "controller/gateway/get_query.h"
#include "controller/gateway/gzip.h"
#include "controller/gateway/json_check.h"
#include "tests/support/status_matchers.h"

namespace slipway::gateway {
namespace {

using testing::StatusIs;
using Code = absl::StatusCode;
using namespace std::string_literals;

TEST_CASE("Connect: content types name a codec and whether it is a stream", "[unit][connect]") {
  CHECK(ParseContentType("application/json") == Media{Codec::kJson, false});
  CHECK(ParseContentType("Application/JSON; charset=utf-8") == Media{Codec::kJson, false});
  CHECK(ParseContentType("application/json;charset=\"UTF-8\"") == Media{Codec::kJson, false});
  CHECK(ParseContentType("application/proto") == Media{Codec::kProto, false});
  CHECK(ParseContentType("application/connect+json") == Media{Codec::kJson, true});
  CHECK(ParseContentType("application/connect+proto") == Media{Codec::kProto, true});
  for (const char* none : {"", "text/plain", "application/json; charset=latin1", "application/grpc",
                           "application/json, application/proto", "application/connect+xml",
                           "application/jsonx", "json"}) {
    INFO(none);
    CHECK_FALSE(ParseContentType(none));
  }
}

TEST_CASE("Connect: every code has its name and HTTP status", "[unit][connect]") {
  struct Case {
    Code code;
    const char* name;
    int http;
  };
  for (const Case& c :
       {Case{Code::kCancelled, "canceled", 499}, Case{Code::kUnknown, "unknown", 500},
        Case{Code::kInvalidArgument, "invalid_argument", 400},
        Case{Code::kDeadlineExceeded, "deadline_exceeded", 504},
        Case{Code::kNotFound, "not_found", 404}, Case{Code::kAlreadyExists, "already_exists", 409},
        Case{Code::kPermissionDenied, "permission_denied", 403},
        Case{Code::kResourceExhausted, "resource_exhausted", 429},
        Case{Code::kFailedPrecondition, "failed_precondition", 400},
        Case{Code::kAborted, "aborted", 409}, Case{Code::kOutOfRange, "out_of_range", 400},
        Case{Code::kUnimplemented, "unimplemented", 501}, Case{Code::kInternal, "internal", 500},
        Case{Code::kUnavailable, "unavailable", 503}, Case{Code::kDataLoss, "data_loss", 500},
        Case{Code::kUnauthenticated, "unauthenticated", 401}}) {
    CHECK(CodeName(c.code) == c.name);
    CHECK(HttpStatusOf(c.code) == c.http);
  }
  CHECK(CodeName(static_cast<Code>(99)) == "unknown");
}

TEST_CASE("Connect: an error is one JSON object with unpadded details", "[unit][connect]") {
  CHECK(ErrorJson({Code::kNotFound, "no \"task\"", {}}) ==
        R"({"code":"not_found","message":"no \"task\""})");
  CHECK(ErrorJson({Code::kInternal, "", {{"a.B", "\x01\x02", R"({"x":1})"}, {"a.C", "", ""}}}) ==
        R"({"code":"internal","details":[{"type":"a.B","value":"AQI","debug":{"x":1}},)"
        R"({"type":"a.C","value":""}]})");
}

TEST_CASE("Connect: the end of a stream has an error only when there is one", "[unit][connect]") {
  CHECK(EndOfStreamJson(nullptr, {}) == "{}");
  const Failure failure{Code::kAborted, "again", {}};
  CHECK(EndOfStreamJson(&failure, {{"x-a", "1"}, {"x-b-bin", "\xff"}, {"x-a", "2"}}) ==
        R"({"error":{"code":"aborted","message":"again"},)"
        R"("metadata":{"x-a":["1","2"],"x-b-bin":["/w"]}})");
}

TEST_CASE("Connect: base64 is taken in both alphabets, padded or not", "[unit][connect]") {
  for (const char* text : {"+/8=", "+/8", "-_8=", "-_8"}) {
    INFO(text);
    CHECK(FromBase64(text) == "\xfb\xff");
  }
  CHECK(Base64("\xfb\xff") == "+/8");
  CHECK(FromBase64("") == "");
  for (const char* bad : {"a", "+/8==", "+_8", "a b", "AQ\n", "%%"}) {
    INFO(bad);
    CHECK_FALSE(FromBase64(bad));
  }
}

TEST_CASE("Connect: a time-out is a positive number of at most 10 digits", "[unit][connect]") {
  CHECK(*ParseTimeout("") == std::nullopt);
  CHECK(*ParseTimeout("1") == std::chrono::milliseconds(1));
  CHECK(*ParseTimeout("9999999999") == std::chrono::milliseconds(9'999'999'999));
  for (const char* bad : {"0", "-1", "+1", "1s", " 1", "10000000000", "1.5", "x"}) {
    INFO(bad);
    CHECK_THAT(ParseTimeout(bad).status(), StatusIs(Code::kInvalidArgument));
  }
}

TEST_CASE("Connect: compressions are negotiated by name", "[unit][connect]") {
  CHECK(*ParseEncoding("gzip"));
  CHECK_FALSE(*ParseEncoding("identity"));
  CHECK_FALSE(*ParseEncoding(""));
  CHECK_THAT(ParseEncoding("br").status(), StatusIs(Code::kUnimplemented, "gzip"));
  for (const char* yes : {"gzip", "br, gzip", "GZIP;q=0.5", "deflate,gzip ; q=1"}) {
    INFO(yes);
    CHECK(AcceptsGzip(yes));
  }
  for (const char* no : {"", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"}) {
    INFO(no);
    CHECK_FALSE(AcceptsGzip(no));
  }
}

TEST_CASE("Connect: what gRPC would end the process over is no metadata", "[unit][connect]") {
  CHECK(IsMetadataValue("Bearer a.b~c"));
  CHECK_FALSE(IsMetadataValue("a\x80"));
  CHECK_FALSE(IsMetadataValue("a\tb"));
  CHECK_FALSE(IsMetadataValue("a\x7f"));
  CHECK_FALSE(IsMetadataValue("a\0b"s));
}

TEST_CASE("JSON: what RFC 8259 has is taken", "[unit][connect]") {
  for (const char* good : {"{}", "[]", "1", " {\"a\": [1, 2.5, -3e2, true, null, \"x\"]} \n",
                           R"({"a":{"a":1},"b":{"a":2}})", R"([{"a":1},{"a":1}])",
                           R"({"\u00e4":"\ud83d\ude00"})", "\"\xc3\xa4\""}) {
    INFO(good);
    CHECK_OK(CheckJson(good));
  }
}

TEST_CASE("JSON: a key that appears twice is refused by name, however it is spelled",
          "[unit][connect]") {
  CHECK_THAT(CheckJson(R"({"a":1,"a":2})"), StatusIs(Code::kInvalidArgument, "'a'"));
  CHECK_THAT(CheckJson(R"({"a":1,"\u0061":2})"), StatusIs(Code::kInvalidArgument, "'a'"));
  CHECK_THAT(CheckJson(R"({"x":[{"b":{},"c":1,"b":1}]})"), StatusIs(Code::kInvalidArgument, "'b'"));
  CHECK_THAT(CheckJson(R"({"":1,"":2})"), StatusIs(Code::kInvalidArgument));
}

TEST_CASE("JSON: bad UTF-8, bad escapes and bad syntax are refused", "[unit][connect]") {
  for (const std::string& bad :
       {"\"\xff\""s, "\"\xc0\xaf\""s, "\"\xed\xa0\x80\""s, "{\"\xe4\":1}"s, "\"\\ud800\""s,
        "\"a\nb\""s, "{a:1}"s, "{'a':1}"s, "[1,]"s, "{\"a\":1,}"s, "01"s, "{}{}"s, "{} x"s, ""s,
        "{"s, "// x\n{}"s, "NaN"s, "\xef\xbb\xbf{}"s, "{}\0"s}) {
    INFO(bad);
    CHECK_THAT(CheckJson(bad), StatusIs(Code::kInvalidArgument));
  }
}

TEST_CASE("JSON: depth and members are limited", "[unit][connect]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK_OK(CheckJson(nested(64)));
  CHECK_THAT(CheckJson(nested(65)), StatusIs(Code::kInvalidArgument));
  CHECK_THAT(CheckJson(std::string(1 << 20, '[')), StatusIs(Code::kInvalidArgument));
  std::string wide = "{\"0\":0";
  for (int i = 1; i <= 10'001; ++i) wide += ",\"" + std::to_string(i) + "\":0";
  CHECK_THAT(CheckJson(wide + "}"), StatusIs(Code::kInvalidArgument));
}

TEST_CASE("Envelope: its bytes are as the protocol has them", "[unit][connect]") {
  CHECK(Envelope(0, R"({"a":1})") == "\0\0\0\0\x07{\"a\":1}"s);
  CHECK(Envelope(kEndOfStream, "{}") == "\x02\0\0\0\x02{}"s);
  const std::string body = "\x01\0\0\0\x02{}"s;
  const auto one = ParseOnlyEnvelope(body, 10);
  REQUIRE_OK(one);
  CHECK(one->compressed);
  CHECK(one->bytes == "{}");
}

TEST_CASE("Envelope: a request holds exactly one, and its length is judged before its bytes",
          "[unit][connect]") {
  const auto parse = [](const std::string& body) { return ParseOnlyEnvelope(body, 10).status(); };
  CHECK_THAT(parse(""), StatusIs(Code::kInvalidArgument));
  CHECK_THAT(parse("\0\0\0\0"s), StatusIs(Code::kInvalidArgument));
  CHECK_THAT(parse("\0\0\0\0\x02{"s), StatusIs(Code::kInvalidArgument));
  CHECK_THAT(parse("\0\0\0\0\x02{}\0"s), StatusIs(Code::kInvalidArgument));
  CHECK_THAT(parse("\x02\0\0\0\x02{}"s), StatusIs(Code::kInvalidArgument, "flags 2"));
  CHECK_THAT(parse("\x80\0\0\0\x02{}"s), StatusIs(Code::kInvalidArgument));
  CHECK_THAT(parse("\0\xff\xff\xff\xff"s), StatusIs(Code::kResourceExhausted));
  CHECK_THAT(parse("\0\0\0\0\x0b"s), StatusIs(Code::kResourceExhausted));
}

TEST_CASE("Gzip: what was packed comes back, within the limit only", "[unit][connect]") {
  const std::string text(100'000, 'a');
  const std::string packed = Gzip(text);
  CHECK(packed.size() < 1000);
  CHECK(*Gunzip(packed, text.size()) == text);
  CHECK(*Gunzip(Gzip(""), 0) == "");
  CHECK_THAT(Gunzip(packed, text.size() - 1).status(), StatusIs(Code::kResourceExhausted));
  // A bomb: 64 MiB in some 64 KiB.
  CHECK_THAT(Gunzip(Gzip(std::string(64 << 20, '\0')), 1 << 20).status(),
             StatusIs(Code::kResourceExhausted));
}

TEST_CASE("Gzip: damaged, cut off and continued data are refused", "[unit][connect]") {
  const std::string packed = Gzip("some text that is long enough to be cut");
  std::string damaged = packed;
  damaged[damaged.size() - 6] = static_cast<char>(~damaged[damaged.size() - 6]);
  for (const std::string& bad : {damaged, packed.substr(0, packed.size() - 1), packed + "x",
                                 packed + packed, "plain"s, "\x1f\x8b"s}) {
    CHECK_THAT(Gunzip(bad, 1000).status(), StatusIs(Code::kInvalidArgument));
  }
}

TEST_CASE("GET: the query holds codec, compression and message in any order", "[unit][connect]") {
  auto query = ParseGetQuery("message=%7B%22a%22%3A%22b+c%22%7D&x=1&encoding=json&connect=v1");
  REQUIRE_OK(query);
  CHECK(query->codec == Codec::kJson);
  CHECK_FALSE(query->gzip);
  CHECK(query->message == R"({"a":"b c"})");
  query = ParseGetQuery("encoding=proto&base64=1&message=-_8&compression=gzip");
  REQUIRE_OK(query);
  CHECK(query->codec == Codec::kProto);
  CHECK(query->gzip);
  CHECK(query->message == "\xfb\xff");
  query = ParseGetQuery("encoding=proto&message=");
  REQUIRE_OK(query);
  CHECK(query->message.empty());
}

TEST_CASE("GET: what is wrong in the query is named", "[unit][connect]") {
  struct Case {
    const char* query;
    Code code;
    const char* says;
  };
  for (const Case& c :
       {Case{"", Code::kInvalidArgument, "encoding"},
        Case{"encoding=json", Code::kInvalidArgument, "message"},
        Case{"encoding=xml&message=", Code::kNotFound, "encoding"},
        Case{"encoding=json&message=&connect=v2", Code::kInvalidArgument, "connect"},
        Case{"encoding=json&message=%7", Code::kInvalidArgument, "message"},
        Case{"encoding=json&message=%zz", Code::kInvalidArgument, "message"},
        Case{"encoding=json&message=1&message=2", Code::kInvalidArgument, "twice"},
        Case{"encoding=json&message=*&base64=1", Code::kInvalidArgument, "base64"},
        Case{"encoding=json&message=&base64=2", Code::kInvalidArgument, "base64"},
        Case{"encoding=json&message=&compression=br", Code::kUnimplemented, "gzip"}}) {
    INFO(c.query);
    CHECK_THAT(ParseGetQuery(c.query).status(), StatusIs(c.code, c.says));
  }
}

}  // namespace
}  // namespace slipway::gateway
