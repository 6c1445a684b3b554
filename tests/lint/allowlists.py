"""Who may do what: the data of tests/lint/run. Each entry says why.

A place is a folder of the repository ("common/crypto": it and everything below), a file
("agent/main.cc"), or a file name in any folder ("*/app.cc").
"""

# --- Include graph ------------------------------------------------------------------------------

# Top folder → top folders whose headers it may include.
DIRECTIONS = {
    "common": ("common",),
    "agent": ("agent", "common"),
    "controller": ("controller", "common"),
    "tests": ("tests", "common", "agent", "controller"),
}

# Values without input or output: what pure files may include besides their own folder.
VALUE_FOLDERS = ("common/base", "common/status", "common/protocol", "controller/domain")

# The same, single headers: values that belong to the interface they stand beside.
VALUE_FILES = {
    "controller/scheduler/events.h": "what goes into the cores and comes out of them",
    "controller/store/changes.h": "what the cores ask to be stored",
    "controller/store/scheduler_store.h": "the cursor rows a core is rebuilt from",
}

# Pure files: events and `now` in, actions out. A header of the same folder that one of them
# includes becomes pure as well.
PURE_FOLDERS = ("controller/domain", "agent/core", "common/base", "common/status", "common/protocol")
PURE_FILE_NAMES = r"\w+_core\.(h|cc)"
# common/base is where time and random bits come into the program.
PURE_EXCEPT = {"common/base/base.cc": "reads the clock and random bytes for everybody",
               "common/base/check.h": "prints and aborts"}
# Third-party headers a pure file may use: Abseil's values, and fmt to write an explanation.
PURE_THIRD_PARTY = ("absl/", "fmt/")
# C headers without input or output, for what is shared with slipway-init.
PURE_C_HEADERS = ("string.h", "stdint.h", "stddef.h", "limits.h", "errno.h")
PURE_BANNED_HEADERS = {
    "absl/synchronization/": "takes no locks: the shell confines it",
    "absl/time/clock.h": "takes `now` as an argument",
    "absl/random/": "takes randomness as an argument",
    "thread": "starts no threads", "mutex": "takes no locks", "shared_mutex": "takes no locks",
    "condition_variable": "waits for nothing", "future": "waits for nothing",
    "semaphore": "waits for nothing", "fstream": "does no input or output",
    "iostream": "does no input or output", "filesystem": "does no input or output",
    "cstdio": "does no input or output", "random": "takes randomness as an argument",
}

# Concrete parts: only the wiring names them; everybody else knows the interface above them.
CONCRETE_FOLDERS = {
    "controller/store/pg": "use the interfaces in controller/store",
    "agent/executor/docker": "use the interfaces in agent/executor",
    "agent/executor/host": "use the interfaces in agent/executor",
}
WIRING = ("*/app.cc", "*/app_database.cc", "*/app_database.h", "*/app_parts.cc", "*/app.h", "*/main.cc", "tests")

# --- Third-party headers ------------------------------------------------------------------------

ANYWHERE = ("common", "agent", "controller")
GRPC_EDGES = ("controller/api", "controller/agent_gateway", "controller/gateway", "controller/cli",
              "agent/link", "common/rpc", "*/app.cc", "*/app_parts.cc", "*/app.h", "*/main.cc")

# Header prefix → (places, reason). Tests may include all of them: they check results with the
# library's own eyes. A header that no line covers fails until it has one.
THIRD_PARTY = {
    "absl/": (ANYWHERE, "the vocabulary of statuses and containers"),
    "fmt/": (ANYWHERE, "text formatting"),
    "spdlog/": (("common/log",), "common/log is the logger; others call that"),
    "catch2/": ((), "tests only"),
    "pqxx/": (("controller/store/pg",), "the PostgreSQL stores"),
    "libpq-fe.h": (("controller/store/pg",), "the PostgreSQL stores"),
    "git2": (("common/git", "agent/workspace"),
             "repositories are read by common/git and checked out by the workspace"),
    "curl/": (("controller/outbound",), "SMTP and posts"),
    "re2/": (("common/project",), "patterns of parameters: linear time, whatever a repository writes"),
    "boost/asio": (("agent/executor/docker", "agent/workspace", "agent/runner", "agent/link",
                    "controller/gateway", "controller/store/pg", "common/process"),
                   "event loops of the HTTP edges and of child processes"),
    "boost/beast": (("agent/executor/docker", "controller/gateway"),
                    "HTTP: the Engine API's client, the gateway's server"),
    "boost/process": (("agent/workspace", "common/process", "controller/store/pg"),
                      "child processes: git and the embedded PostgreSQL"),
    "boost/json": (("agent/executor", "agent/workspace", "agent/publish", "controller/channels",
                    "controller/cli", "controller/gateway", "controller/store/pg", "common/crypto", "common/json"),
                   "JSON at the edges that speak it"),
    "boost/system": (("agent/executor/docker", "agent/workspace", "controller/gateway",
                      "controller/store/pg", "common/process"), "error codes of the Boost libraries used there"),
    "boost/url": (("agent/executor/docker", "controller/gateway"), "URLs of the HTTP edges"),
    # slipway-init is a small static program that links no library of ours.
    "openssl/": (("common/crypto", "agent/init"), "cryptography"),
    "argon2.h": (("common/crypto",), "password hashing"),
    "jwt.h": (("controller/access",), "access tokens"),
    "qrencode.h": (("common/qr",), "QR codes"),
    "png.h": (("common/qr",), "QR codes as PNG"),
    "yaml-cpp/": (("common/config",), "YAML, with file, line and key in its errors"),
    "archive.h": (("common/archive",), "tar and zip"),
    "archive_entry.h": (("common/archive",), "tar and zip"),
    "zstd": (("common/compression", "common/archive", "controller/logs"),
             "compression in transport and at rest"),
    "zlib.h": (("controller/gateway",), "gzip, which is what HTTP clients speak"),
    "prometheus/": (("controller/metrics",), "counters and their text format"),
    "CLI/": (("controller/cli", "*/main.cc"), "command lines"),
    "grpc/": (GRPC_EDGES, "gRPC stays at the edges"),
    "grpc++/": (GRPC_EDGES, "gRPC stays at the edges"),
    "grpcpp/": (GRPC_EDGES, "gRPC stays at the edges"),
    "google/protobuf/": (GRPC_EDGES, "protobuf types stay at the edges; inside are plain values"),
    "slipway/v1/": (GRPC_EDGES + ("controller/runs",),
                    "protobuf types stay at the edges; runs makes the TaskSpec that agents get"),
}

# --- Text ---------------------------------------------------------------------------------------

# Where exceptions stop: the adapters around throwing libraries. Tests may as well.
EXCEPTIONS = {
    "controller/store/pg": "libpqxx throws",
    "common/config": "yaml-cpp throws",
    "agent/executor/docker": "Asio and Beast throw where they have no error_code form",
    "controller/gateway": "Asio, Beast throw where they have no error_code form",
    "common/process": "Boost.Process throws",
    "agent/workspace": "Boost.Process throws",
    "common/json": "Boost.JSON throws on access of a wrong kind",
    "common/log": "spdlog throws when it cannot open a file",
    "controller/cli": "CLI11 throws",
    "*/main.cc": "CLI11 throws",
}

SHELL = {  # system, popen
    "tests": "fixed words drive other programs, to check results with their eyes",
}
ENVIRONMENT = {  # getenv
    "*/main.cc": "the environment is read once, in the open",
    "*/app.cc": "the environment is read once, in the open",
    "controller/cli": "a person's shell configures the CLI",
    "agent/init": "PID 1 of the build container",
    "tests": "tests are configured by their environment",
}
CLOCKS = {  # raw clock reads; everybody else has slipway::Clock or takes `now`
    "common/base": "slipway::SystemClock lives here",
    "agent/init": "links nothing of ours",
    "agent/executor/docker": "Asio deadlines are steady_clock values",
    "agent/link": "gRPC deadlines are system_clock values",
    "common/rpc": "gRPC deadlines are system_clock values",
    "controller/api/ending_call.h": "gRPC alarms take system_clock values",
    "controller/cli": "gRPC deadlines are system_clock values",
    "controller/app.cc": "gRPC deadlines are system_clock values",
    "tests": "deadlines of tests",
}
SLEEPS = {
    "tests/support": "the wait-until-with-deadline helpers",
    "controller/store/pg/leadership.cc": "asks again for the leader's lock: PostgreSQL waits for an "
                                         "advisory lock without limit or not at all",
    "agent/executor/docker/docker_engine.cc": "looks for a network that another agent makes: the "
                                              "Engine's events may come before we listen",
    "tests/bench": "measures at rest",
    "agent/init": "drains bounded, has no event loop library",
}
RANDOMNESS = {
    "common/base": "NewId, NewUuid",
    "common/crypto": "keys",
    "tests": "seeded generators",
}
CONNECTIONS = {  # to PostgreSQL; every other write goes through Database::Write, which is fenced
    "controller/store/pg/session.cc": "opens them",
    "controller/store/pg/session.h": "holds one",
    "controller/store/pg/database.cc": "the pool behind Read and Write",
    "controller/store/pg/leadership.cc": "holds the leader's lock; writes only its own sign of life",
    "controller/store/pg/migrator.cc": "runs after the term has begun, or on a database without a leader",
    "controller/store/pg/embedded_cluster.cc": "makes role and database before there is a schema",
}
TERMINAL = {  # std::cout, printf
    "controller/cli": "speaks to a person",
    "*/main.cc": "usage, version and start errors",
    "agent/init": "its standard error is its log",
    "common/base/base.cc": "the last words of a failed check",
    "tests": "helper programs of tests",
}

# Files above MAX_LINES lines.
MAX_LINES = 500
LONG_FILES = {
    "tests/db/golden/schema.sql": "printed by a program",
}

# Paths of a developer's machine. File → reason it may hold one.
MACHINE_PATHS = {
    "tests/lint": "names what it looks for",
}

# --- Documents ----------------------------------------------------------------------------------

# Words in capitals that are no reasons of docs/errors.md. (SLIPWAY_… never are.)
NOT_REASONS = {
    **dict.fromkeys(("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT",
                     "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), "variables that name a CA bundle"),
    **dict.fromkeys(("GIT_ALLOW_PROTOCOL", "GIT_ASKPASS", "GIT_ATTR_NOSYSTEM", "GIT_CONFIG_COUNT",
                     "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_NO_REPLACE_OBJECTS",
                     "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAPATH", "GIT_TERMINAL_PROMPT",
                     "SSH_ASKPASS"), "variables of git"),
    **dict.fromkeys(("LC_ALL", "LC_MESSAGES", "NO_COLOR", "CCACHE_COMPILERCHECK", "GRPC_VERBOSITY", "XDG_CONFIG_HOME"), "variables of programs"),
    **dict.fromkeys(("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"), "variables of systemd"),
    "CCACHE_DIR": "a variable of ccache",
    "DAC_OVERRIDE": "a capability of Linux",
    "PG_VERSION": "a file of PostgreSQL",
}
