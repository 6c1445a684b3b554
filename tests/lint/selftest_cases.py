"""The trees of tests/lint/selftest: a clean one, harmless look-alikes, and one plant per rule."""

LIBRARY = "slipway_library({} SOURCES {})\n"


def header(*lines):
    return "#pragma once\n\n" + "".join(line + "\n" for line in lines)


CLEAN = {
    "common/base/CMakeLists.txt": LIBRARY.format("common_base", "ids.cc"),
    "common/base/ids.h": header("#include <string>"),
    "common/base/ids.cc": '#include "common/base/ids.h"\n',
    "common/crypto/CMakeLists.txt": "slipway_library(common_crypto SOURCES hash.cc\n"
                                    "                PRIVATE common_base)\n",
    "common/crypto/hash.h": header('#include "common/base/ids.h"'),
    "common/crypto/hash.cc": '#include "common/crypto/hash.h"\n\n#include <openssl/evp.h>\n',
    "controller/domain/run.h": header('#include "common/base/ids.h"'),
    "controller/scheduler/scheduler_core.h": header('#include "absl/status/status.h"',
                                                    '#include "controller/domain/run.h"'),
    "controller/store/run_store.h": header('#include "controller/domain/run.h"'),
    "controller/store/pg/pg_run_store.h": header('#include "controller/store/run_store.h"'),
    "controller/store/pg/migrations/0001_first.sql": "SELECT 1;\n",
    "agent/core/agent_core.h": header('#include "common/base/ids.h"'),
    "agent/link/link.h": header("#include <grpcpp/grpcpp.h>"),
    "tests/unit/CMakeLists.txt": "slipway_test(ids_test SOURCES ids_test.cc LABELS unit)\n",
    "tests/unit/ids_test.cc": "#include <catch2/catch.hpp>\n",
    "tests/support/fake.h": header('#include "controller/store/pg/pg_run_store.h"'),
    "proto/slipway/v1/run.proto": 'syntax = "proto3";\npackage slipway.v1;\n\n'
                                  "// The runs.\nservice Runs {\n"
                                  "  // Makes one.\n  rpc Submit(Run) returns (Run);\n}\n\n"
                                  "// One submit.\nmessage Run {}\n\n"
                                  "// Its state.\nenum State {\n  STATE_UNSPECIFIED = 0;\n}\n",
    "controller/api/auth.cc": 'absl::Status F() { return MakeError(code, "NO_TOKEN", "no token"); }\n',
    "controller/api/CMakeLists.txt": LIBRARY.format("controller_api", "auth.cc"),
    "docs/errors.md": "# Reasons\n\n| reason | where |\n|---|---|\n| `NO_TOKEN` | api |\n",
    "deploy/up": "#!/bin/sh\necho up\n\0x",
}

A = "controller/runs/a.h"  # a header in nobody's allowlist


def in_a(*lines):
    return {A: header(*lines)}


HARMLESS = [
    ("words in comments and strings", in_a(
        "// throw, try { and getenv( are only words here; so is std::cout → yes.",
        'inline const char* Text() { return "throw → std::cout rand()"; }',
        'inline const char* Raw() { return R"(catch (...) "sleep(1)" )"; }')),
    ("members named like banned calls", in_a("struct Clock {", "  int time();", "  int sleep_;", "};",
                                             "int Use(Clock& c);",
                                             "inline int Twice(Clock& c) { return 2 * c.time(); }")),
    ("digit separators", in_a("inline int Million() { return 1'000'000; }")),
    ("namespaces of literals", in_a("#include <chrono>", "",
                                    "inline auto Wait() {",
                                    "  using namespace std::chrono_literals;", "  return 1s;", "}")),
    ("a helper header of a core", {
        "controller/scheduler/queue.h": header("#include <vector>"),
        "controller/scheduler/scheduler_core.h": header('#include "controller/scheduler/queue.h"')}),
    ("app.cc wires concrete parts", {
        "controller/CMakeLists.txt": "add_executable(slipway-controller app.cc)\n",
        "controller/app.cc": '#include "controller/store/pg/pg_run_store.h"\n'}),
    ("a line of 100 columns that are more bytes", in_a("// " + "é" * 97)),
    ("a value header beside an interface", {
        "controller/store/changes.h": header('#include "controller/domain/run.h"'),
        "controller/scheduler/scheduler_core.h": header('#include "controller/store/changes.h"')}),
    ("a part of a folder as a library of its own, listed through a variable", {
        "controller/agent_gateway/CMakeLists.txt":
            "set(links common_base)\nlist(APPEND links fmt::fmt)\n"
            "slipway_library(controller_session_core SOURCES session_core.cc\n  PRIVATE ${links})\n"
            "slipway_library(controller_agent_gateway SOURCES stream.cc)\n",
        "controller/agent_gateway/session_core.cc": '#include "common/base/ids.h"\n',
        "controller/agent_gateway/stream.cc": "#include <grpcpp/grpcpp.h>\n"}),
    ("a table in a comment", in_a("//   state     means", "//   queued    waits", "struct A;")),
    ("variables and other capitals", in_a('inline const char* V() { return "A_B and C_D"; }',
                                          'inline const char* W() { return "SLIPWAY_OUTPUT"; }',
                                          'inline const char* X() { return "LC_ALL"; }')),
    ("mkstemp templates", in_a('inline const char* Template() { return "/tmp/slipway-XXXXXX"; }')),
]

# (rule, file, line, files). Exactly this one finding is wanted.
PLANTS = [
    ("include-direction", "agent/runner/r.h", 3,
     {"agent/runner/r.h": header('#include "controller/domain/run.h"')}),
    ("include-direction", A, 3, in_a('#include "agent/core/agent_core.h"')),
    ("include-direction", "common/log/log.h", 3,
     {"common/log/log.h": header('#include "controller/domain/run.h"')}),
    ("include-direction", A, 3, in_a('#include "tests/support/fake.h"')),
    ("include-path", A, 3, in_a('#include "runs/b.h"')),
    ("include-path", A, 3, in_a("#include <common/base/ids.h>")),
    ("include-path", A, 3, in_a('#include "../domain/run.h"')),
    ("include-concrete", A, 3, in_a('#include "controller/store/pg/pg_run_store.h"')),
    ("include-pure", "controller/scheduler/scheduler_core.h", 3,
     {"controller/scheduler/scheduler_core.h": header("#include <thread>")}),
    ("include-pure", "controller/domain/run.h", 3,
     {"controller/domain/run.h": header('#include "absl/synchronization/mutex.h"')}),
    ("include-pure", "agent/core/agent_core.h", 3,
     {"agent/core/agent_core.h": header("#include <unistd.h>")}),
    ("include-pure", "controller/scheduler/scheduler_core.h", 3,
     {"controller/scheduler/scheduler_core.h": header('#include "controller/store/run_store.h"')}),
    # Through a header of the same folder, and through that header's source.
    ("include-pure", "controller/scheduler/queue.cc", 3,
     {"controller/scheduler/queue.h": header("#include <vector>"),
      "controller/scheduler/queue.cc": '#include "controller/scheduler/queue.h"\n\n#include <mutex>\n',
      "controller/scheduler/CMakeLists.txt": LIBRARY.format("controller_scheduler", "queue.cc"),
      "controller/scheduler/scheduler_core.h": header('#include "controller/scheduler/queue.h"')}),
    ("include-cycle", "common/base/ids.h", 3,
     {"common/base/ids.h": header('#include "common/status/status.h"'),
      "common/status/status.h": header('#include "common/base/ids.h"')}),
    ("include-cycle", "controller/a/a.h", 3,
     {"controller/a/a.h": header('#include "controller/b/b.h"'),
      "controller/b/b.h": header('#include "controller/c/c.h"'),
      "controller/c/c.h": header('#include "controller/a/a.h"')}),
    ("third-party", A, 3, in_a("#include <pqxx/pqxx>")),
    ("third-party", A, 3, in_a("#include <git2.h>")),
    ("third-party", A, 3, in_a("#include <openssl/evp.h>")),
    ("third-party", A, 3, in_a("#include <boost/asio/io_context.hpp>")),
    ("third-party", A, 3, in_a("#include <grpcpp/grpcpp.h>")),
    ("third-party", "agent/runner/r.h", 3,
     {"agent/runner/r.h": header('#include "slipway/v1/run.pb.h"')}),
    ("third-party", A, 3, in_a("#include <catch2/catch.hpp>")),
    ("third-party-unknown", A, 3, in_a("#include <sqlite3.h>")),
    ("third-party-unknown", "tests/unit/ids_test.cc", 1,
     {"tests/unit/ids_test.cc": "#include <gtest/gtest.h>\n"}),
    ("exceptions", A, 3, in_a("inline void F() { throw 1; }")),
    ("exceptions", A, 4, in_a("inline void F() {", "  try {", "  }", "}")),
    ("ban-regex", A, 3, in_a("#include <regex>")),
    ("ban-shell", A, 3, in_a('inline int F() { return std::system("ls"); }')),
    ("ban-shell", A, 3, in_a('inline void F() { popen("ls", "r"); }')),
    ("ban-unbounded", A, 3, in_a("inline void F(char* a, char* b) { strcpy(a, b); }")),
    ("ban-getenv", A, 3, in_a('inline void F() { std::getenv("HOME"); }')),
    ("ban-clock", A, 3, in_a("inline auto F() { return std::chrono::steady_clock::now(); }")),
    ("ban-clock", A, 3, in_a("inline auto F() { return time(nullptr); }")),
    ("ban-sleep", A, 3, in_a("inline void F() { usleep(5); }")),
    ("ban-sleep", "tests/unit/ids_test.cc", 1,
     {"tests/unit/ids_test.cc": "void F() { std::this_thread::sleep_for(x); }\n"}),
    ("ban-random", A, 3, in_a("inline int F() { return rand(); }")),
    ("ban-random", A, 3, in_a("inline std::mt19937 engine;")),
    ("unfenced-connection", A, 3, in_a("inline auto F() { return Session::Open({}); }")),
    ("ban-terminal", A, 3, in_a("inline void F() { std::cout << 1; }")),
    ("ban-terminal", A, 3, in_a('inline void F() { printf("x"); }')),
    ("ban-using-namespace", A, 3, in_a("using namespace std;")),
    ("non-ascii", A, 3, in_a("inline int größe = 1;")),
    ("pragma-once", A, 1, {A: "struct A;\n"}),
    ("leftover", A, 3, in_a("// TO" "DO: later.", "struct A;")),
    ("leftover", "docs/x.md", 2, {"docs/x.md": "# X\nFIX" "ME\n"}),
    ("machine-path", "docs/x.md", 1, {"docs/x.md": "see /home/" "me/slipway\n"}),
    ("machine-path", "docs/x.md", 1, {"docs/x.md": "see ../" "shared/design.md\n"}),
    ("line-length", A, 3, in_a("//   " + "word " * 20 + "end.")),
    ("line-length", "proto/slipway/v1/x.proto", 1,
     {"proto/slipway/v1/x.proto": "//   one " + "é" * 98 + "\n" + 'syntax = "proto3";\n'}),
    ("file-length", A, 602, in_a(*["// Line."] * 600)),
    ("cmake-source", "common/base/more.cc", 1, {"common/base/more.cc": "int more = 1;\n"}),
    ("test-unregistered", "tests/unit/more_test.cc", 1,
     {"tests/unit/more_test.cc": "int more = 1;\n"}),
    # Listed, but as a program that CTest does not know.
    ("test-unregistered", "tests/unit/more_test.cc", 1,
     {"tests/unit/more_test.cc": "int more = 1;\n",
      "tests/unit/CMakeLists.txt": CLEAN["tests/unit/CMakeLists.txt"]
                                   + "add_executable(more_test more_test.cc)\n"}),
    ("target-name", "common/base/CMakeLists.txt", 2,
     {"common/base/CMakeLists.txt": "# A comment.\nslipway_library(base SOURCES ids.cc)\n",
      "common/crypto/CMakeLists.txt": LIBRARY.format("common_crypto", "hash.cc DEPS base")}),
    ("test-name", "tests/unit/CMakeLists.txt", 1,
     {"tests/unit/CMakeLists.txt": "slipway_test(ids_test SOURCES ids_test.cc LABELS db)\n"}),
    ("test-name", "tests/unit/CMakeLists.txt", 1,
     {"tests/unit/CMakeLists.txt": "slipway_test(ids SOURCES ids_test.cc LABELS unit)\n"}),
    ("cmake-deps", "common/crypto/hash.h", 3,
     {"common/crypto/CMakeLists.txt": LIBRARY.format("common_crypto", "hash.cc")}),
    # The other library of the folder links it; this one does not.
    ("cmake-deps", "controller/agent_gateway/session_core.cc", 1, {
        "controller/agent_gateway/CMakeLists.txt":
            "slipway_library(controller_session_core SOURCES session_core.cc)\n"
            "slipway_library(controller_agent_gateway SOURCES stream.cc DEPS common_base)\n",
        "controller/agent_gateway/session_core.cc": '#include "common/base/ids.h"\n',
        "controller/agent_gateway/stream.cc": "#include <grpcpp/grpcpp.h>\n"}),
    ("support-test", "tests/support/fake.h", 3,
     {"tests/support/fake.h": header('TEST_CASE("x") {}')}),
    ("migration", "controller/store/pg/migrations/0003_third.sql", 1,
     {"controller/store/pg/migrations/0003_third.sql": "SELECT 3;\n"}),
    ("migration", "controller/store/pg/migrations/0001_twin.sql", 1,
     {"controller/store/pg/migrations/0001_twin.sql": "SELECT 1;\n"}),
    ("migration", "controller/store/pg/migrations/Second.sql", 1,
     {"controller/store/pg/migrations/Second.sql": "SELECT 2;\n"}),
    ("proto-comment", "proto/slipway/v1/x.proto", 5,
     {"proto/slipway/v1/x.proto": 'syntax = "proto3";\n\n// X.\nservice X {\n'
                                  "  rpc Y(A) returns (A);\n}\n"}),
    ("proto-comment", "proto/slipway/v1/x.proto", 3,
     {"proto/slipway/v1/x.proto": 'syntax = "proto3";\n\nmessage X {}\n'}),
    ("proto-enum-zero", "proto/slipway/v1/x.proto", 4,
     {"proto/slipway/v1/x.proto": 'syntax = "proto3";\n\n// X.\nenum X {\n  X_GOOD = 0;\n}\n'}),
    ("reasons", A, 3, in_a('inline const char* F() { return "NEW_REASON"; }')),
    ("reasons", A, 3, in_a('inline absl::Status F() { return MakeError(code, "STOPPING", "x"); }')),
    ("reasons", "proto/slipway/v1/x.proto", 4,
     {"proto/slipway/v1/x.proto": 'syntax = "proto3";\n\n// NOT_FOUND, reason\n// NO_SUCH_THING.\n'
                                  "message X {}\n"}),
    ("reasons", "docs/errors.md", 6,
     {"docs/errors.md": CLEAN["docs/errors.md"] + "| `GONE_AWAY` | api |\n"}),
    ("reasons", "docs/errors.md", 6,
     {"docs/errors.md": CLEAN["docs/errors.md"] + "| `NO_TOKEN` | api |\n"}),
    ("format", A, 3, in_a("inline   int F() { return 1; }")),
    ("script-mode", "deploy/down", 1, {"deploy/down": "#!/bin/sh\necho down\n"}),
    ("script-mode", "deploy/down", 1, {"deploy/down": "echo down\n\0x"}),
    ("script-syntax", "deploy/down", 4, {"deploy/down": "#!/bin/sh\nif true; then\n  echo x\n\0x"}),
    ("script-syntax", "deploy/x.py", 2, {"deploy/x.py": "x = 1\nif x\n"}),
    ("shellcheck", "deploy/down", 2, {"deploy/down": "#!/bin/sh\ncd \"$1\"\n\0x"}),
]


def ctest_log(name, output, end="Test Passed."):
    return (f"1/1 Testing: {name}\n1/1 Test: {name}\nCommand: \"/x/{name}\"\n"
            f"\"{name}\" start time: Nov 01 00:00 UTC\nOutput:\n"
            f"----------------------------------------------------------\n{output}\n"
            f"<end of output>\nTest time =   0.01 sec\n{end}\n")


def junit(name, status):
    return f'<testsuite><testcase name="{name}" status="{status}"/></testsuite>'


COUNTS = [
    ("all passed", ctest_log("a_test", "All tests passed (20 assertions in 4 test cases)\n"),
     junit("a_test", "run"), (4, 0, [])),
    ("one case", ctest_log("a_test", "All tests passed (1 assertion in 1 test case)\n"),
     junit("a_test", "run"), (1, 0, [])),
    ("some failed", ctest_log("a_test", "test cases: 5 | 3 passed | 2 failed\n"
                                        "assertions: 9 | 7 passed | 2 failed\n"),
     junit("a_test", "fail"), (3, 2, ["a_test"])),
    ("expected failures are passes",
     ctest_log("a_test", "test cases: 3 | 2 passed | 1 failed as expected\n"),
     junit("a_test", "run"), (3, 0, [])),
    ("a sanitizer speaks after Catch2",
     ctest_log("a_test", "All tests passed (2 assertions in 2 test cases)\n\nLeakSanitizer: …\n"),
     junit("a_test", "fail"), (2, 1, ["a_test"])),
    ("a timeout", ctest_log("a_test", "waiting\n", "Test Failed."), junit("a_test", "fail"),
     (0, 1, ["a_test"])),
    ("no executable", "", junit("a_test", "notrun"), (0, 1, ["a_test"])),
    ("a program without Catch2", ctest_log("a_test", "fine\n"), junit("a_test", "run"), (1, 0, [])),
]
