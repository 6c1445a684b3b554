"""The stories of people, clients, the catalog and private repositories."""

import shutil
import textwrap

from clients import buf
from farm import WEIXIN, Application, lab
from git_servers import HttpsServer, SshServer
from recorder import story

ONE_SLOT = "slots: 1\n"
PASSWORD = "echo 'a sentence is long enough'"


def server(farm):
    return f"--server 127.0.0.1:{farm.port} --ca {farm.folder}/controller/ca.pem"


def log_in(story, farm, name):
    story.run(f"{PASSWORD} | slipway login {server(farm)} --context {name} --account {name} --password-stdin")


@story("access", "Who may do what", agents=1, standin=True, agent_options=ONE_SLOT)
def access(story, farm):
    farm.application("shop").commit(farm.shop("shop"))
    farm.application("cafe").commit(farm.shop("cafe"))
    data = farm.folder / "controller"
    story.say("""A new farm has the account `admin`; its password is in a file in the data directory. The admin logs in, and is at home in the context
        `root`.""")
    story.run(f"head -1 {data}/admin.password | slipway login {server(farm)} --context root --account admin --password-stdin")
    story.say("A developer, and a product manager who writes no code. What each may do:")
    for name, kind, more in (("mei", "developer", "--full-name 李梅 --post developer"),
                             ("wang", "member", "--full-name 王芳 --department 产品部")):
        story.run(f"{PASSWORD} | slipway --context root accounts create {name} --kind {kind} {more} --password-stdin")
    story.run("slipway --context root grants add mei --app shop --preset developer")
    story.run("slipway --context root grants add mei --app cafe --op view")
    story.run("slipway --context root grants add wang --app shop --preset product")
    story.run("slipway --context root grants list")
    story.say("Each logs in and finds just what it was granted:")
    for name in ("mei", "wang"):
        log_in(story, farm, name)
        story.run(f"slipway --context {name} apps")
    story.wait("the repository to be read", lambda: "being read" not in farm.slipway("overview", "shop").stdout
               and "platforms" in farm.slipway("overview", "shop").stdout)
    story.say("""All that a client shows each of them of `shop`. The product manager's has no `run_script`. What is held and leads nowhere now is there with the
        reason: this version of Slipway has no call yet that runs somebody's own script.""")
    story.run("slipway --context mei overview shop")
    story.run("slipway --context wang overview shop")
    story.say("The product manager makes a preview, a test package whose code opens exactly this product, and looks at it on a phone:")
    story.run(f"slipway --context wang submit --app shop --platform {WEIXIN} --version 1.0.0-rc1 --preview --follow")
    story.say("It is what was meant, so it is published:")
    story.run(f"slipway --context wang submit --app shop --platform {WEIXIN} --version 1.0.0 --publish --follow")
    story.say("What she was granted nothing of is not there; what she sees but may not do is refused with the reason:")
    story.run("slipway --context wang submit --app cafe --platform weixin", status=3)
    story.run("slipway --context wang apps set shop --description 'hers now'", status=6)
    story.run("slipway --context root grants add wang --app shop --op run_script", status=3)
    story.run("slipway --context mei submit --app cafe --platform weixin", status=6)
    story.run("slipway --context mei accounts list", status=6)
    story.say("A right that is taken acts at once:")
    story.run("slipway --context root grants remove wang --app shop")
    story.run("slipway --context wang apps")
    story.run("slipway --context root accounts update mei --state disabled")
    story.run("slipway --context mei whoami", status=5)
    story.say("All of that is in the audit trail, what was refused as well:")
    story.wait("the refusals to be written", lambda: farm.slipway("audit", "list", "--refused").stdout.count("refused") >= 4)
    story.run("slipway --context root audit list --refused")
    story.run("slipway --context root audit list --action change_grants")
    story.run("slipway --context root audit verify")
    story.say("A database superuser takes the guard away, makes one row say something else, and puts the guard back:")
    change = ("ALTER TABLE audit DISABLE TRIGGER audit_stays; "
              "UPDATE audit SET entry = replace(entry, 'wang', 'nobody') WHERE sequence = "
              "(SELECT min(sequence) FROM audit WHERE action = 'change_grants' AND entry LIKE '%wang%'); "
              "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_stays")
    story.run(f"psql -q -h {data}/postgres/run -U slipway_admin slipway -c \"{change}\"")
    story.run("slipway --context root audit verify", status=1)


@story("clients", "A machine calls: curl, and a gRPC client", agents=1, agent_options=ONE_SLOT)
def clients(story, farm):
    text = "for i in 1 2 3; do echo step $i of 3; sleep 1; done\nmkdir out; echo x >out/x"
    farm.application("shop").commit({"slipway.yaml": lab(text)})
    farm.slipway("targets", "create", "demo", "--image", "slipway-test-min:1")
    (story.desk / "ca.pem").symlink_to(farm.folder / "controller/ca.pem")
    (story.desk / "bin/buf").symlink_to(buf())
    story.say("A service account with an API token that can only build `shop`, made by an admin:")
    story.run("slipway accounts create jenkins --kind service")
    story.run("slipway grants add jenkins --app shop --op package")
    story.run("slipway tokens create nightly --account jenkins --op package --app shop >jenkins.token")
    ready = next(word for word in (farm.folder / "controller.log").read_text().split() if word.startswith("http_port="))
    url = f"http://127.0.0.1:{ready.partition('=')[2]}/slipway.v1"
    story.say("curl takes the token from a file, so that no list of processes shows it:")
    story.run("(umask 077; echo \"Authorization: Bearer $(cat jenkins.token)\" >header)")
    call = "curl -s -H @header -H 'Content-Type: application/json'"
    submit = "{\"requestId\":\"build-7\",\"application\":\"shop\",\"platforms\":[\"demo\"]}"
    story.say("It submits. Told again, for example because the answer was lost, the same request id gives the same run:")
    answer = story.run(f"{call} {url}.TaskService/SubmitRun -d '{submit}'; echo")
    run = next(word for word in answer.replace('"', " ").split() if word.startswith("run-"))
    story.run(f"{call} {url}.TaskService/SubmitRun -d '{submit}' | grep -o 'run-[a-z0-9]*' | head -1")
    story.say("""It follows. Each message of a stream has five bytes before it, a flag and the length; `grep` leaves them out, and shows of each message the
        states:""")
    message = f"{{\"run\":\"{run}\"}}"
    envelope = "".join(f"\\x{byte:02x}" for byte in b"\0" + len(message).to_bytes(4, "big"))
    story.run(f"printf '{envelope}%s' '{message}' |\n"
              f"      curl -sN -H @header -H 'Content-Type: application/connect+json' --data-binary @- {url}.TaskService/WatchRun |\n"
              "      grep -aoE '(TASK|STEP)_STATE_[A-Z]*|STEP_[A-Z]*|\"error\":.*' | uniq")
    farm.finish(run)
    story.run(f"{call} {url}.TaskService/ListTasks -d '{{\"run\":\"{run}\"}}' | python3 -m json.tool | grep -E 'id|state'")
    story.say("What changes nothing can be asked with GET:")
    story.run(f"curl -sG -H @header --data-urlencode 'message={{\"application\":\"shop\"}}' -d connect=v1 -d encoding=json {url}.OverviewService/ListVersions; echo")
    story.say("What the token is not for is refused, with the reason and what to do:")
    publish = submit.replace("build-7", "build-8").replace("]}", "],\"publish\":true}")
    story.run(f"{call} {url}.TaskService/SubmitRun -d '{publish}' | python3 -m json.tool --no-ensure-ascii")
    story.say("""The gRPC port tells what it serves (reflection), so a client that never heard of Slipway can call it. Here it is buf; grpcurl asks the same
        question.""")
    grpc = f"https://localhost:{farm.port}"
    story.run(f"buf curl --protocol grpc --cacert ca.pem --list-services {grpc}")
    story.run(f"buf curl --protocol grpc --cacert ca.pem --list-methods {grpc} | grep TaskService")
    story.run(f"buf curl --protocol grpc --cacert ca.pem -H @header {grpc}/slipway.v1.ApplicationService/ListApplications")
    story.run(f"buf curl --protocol grpc --cacert ca.pem {grpc}/grpc.health.v1.Health/Check")


FARM = """
    kind: environment
    name: test
    description: For testers
    ---
    kind: environment
    name: production
    description: What users get
    order: 10
    ---
    kind: target
    platform: weixin
    name: live
    environment: production
    image: slipway-publisher-weixin:1
    deadline: 5m
    ---
    kind: application
    name: bakery
    repository: REPOSITORY
    queue_timeout: 30m
    """


@story("catalog", "The catalog as files", agents=1, agent_options=ONE_SLOT)
def catalog(story, farm):
    bakery = Application(farm, "bakery")
    files = {"slipway.yaml": lab("echo baking; mkdir out; echo x >out/x")}
    bakery.commit(files, message="Bread")
    bakery.git(bakery.tree, "tag", "-a", "v1.0", "-m", "First oven")
    bakery.commit({**files, "cake": "1"}, branch="cakes", message="Cakes, too")
    bakery.git(bakery.tree, "push", "-q", "origin", "v1.0")
    (story.desk / "farm.yaml").write_text(textwrap.dedent(FARM).lstrip().replace("REPOSITORY", f"file://{bakery.bare}"))
    story.say("What the farm is to have, in one file:")
    story.run("cat farm.yaml")
    story.say("What would change, and then the change. What is so already is not touched again.")
    story.run("slipway diff -f farm.yaml", status=7)
    story.run("slipway apply -f farm.yaml")
    story.run("slipway apply -f farm.yaml")
    story.run("slipway environments; slipway targets; slipway apps")
    story.say("Somebody changes the file. The difference is that of the object, not of the text:")
    story.run("sed -i 's/deadline: 5m/deadline: 10m/; s/queue_timeout: 30m/require: {zone: north}/' farm.yaml")
    story.run("slipway diff -f farm.yaml", status=7)
    story.run("slipway apply -f farm.yaml >/dev/null; slipway diff -f farm.yaml")
    story.say("Mistakes are told all at once, with their places, and nothing is done:")
    story.run("printf 'kind: target\\nplatform: weixin\\nimagee: x\\ndeadline: soon\\n' | slipway apply -f -", status=2)
    story.say("The other way round. What is written out is applied without a difference:")
    story.run("slipway export >now.yaml; cat now.yaml; slipway diff --prune -f now.yaml")
    story.say("`--prune` takes away what no file names, but never an application:")
    story.run("printf 'kind: environment\\nname: production\\ndescription: What users get\\norder: 10\\n' >less.yaml; slipway apply --prune -f less.yaml")
    story.run("slipway environments; slipway targets; slipway apps")
    story.say("The versions that a person may choose from, read from the repository; what is built of one is said beside it:")
    story.run("slipway apps set bakery --require-nothing >/dev/null")
    story.wait("the versions", lambda: "cakes" in farm.slipway("versions", "bakery").stdout)
    story.run("slipway versions bakery")
    story.run("slipway submit --app bakery --platform demo --ref v1.0 --version 1.0 --follow")
    story.run("slipway versions bakery --match v1")
    story.run("slipway overview bakery")


@story("repositories", "Private repositories", agents=1, agent_options=ONE_SLOT)
def repositories(story, farm):
    build = {"slipway.yaml": lab("ls; mkdir out; echo x >out/x"), "bread.txt": "rye\n"}
    shop = Application(farm, "shop")
    shop.commit(build, message="Bread")
    Application(farm, "app").commit(build, message="The same over SSH")
    https = HttpsServer(farm.folder / "repos", "deploy", "glpat-s3cret-Token-91")
    ssh = SshServer(farm.folder / "repos")
    try:
        play_repositories(story, farm, https, ssh)
    finally:
        https.close()
        ssh.close()


def play_repositories(story, farm, https, ssh):
    (story.desk / "token").write_text(https.password.read_text() + "\n")
    (story.desk / "token").chmod(0o600)
    for path, name in ((https.ca, "company-ca.pem"), (ssh.key, "shop-key"), (ssh.known_hosts, "known")):
        shutil.copy(path, story.desk / name)
    story.say("A git server of the company's own: behind a password, with a certificate of the company's own authority. Nobody here trusts it yet:")
    story.run(f"slipway apps create shop --repository {https.url('shop')}")
    story.run("slipway submit --app shop --platform demo --follow", status=1)
    story.say("The credential and the authority's certificate, sealed before they leave this machine:")
    story.run("slipway apps set-repository-credential shop --https-user deploy --password-file token --ca-file company-ca.pem")
    story.wait("the versions", lambda: "main" in farm.slipway("versions", "shop", check=False).stdout)
    story.run("slipway versions shop")
    story.run("slipway submit --app shop --platform demo --follow")
    story.say("A token that is wrong, or expired, or taken away at the server. Such a failure is not tried again by itself, because nothing would change:")
    story.run("(umask 077; echo yesterdays-token >old)")
    story.run("slipway apps set-repository-credential shop --https-user deploy --password-file old --ca-file company-ca.pem | grep credential")
    story.run("slipway submit --app shop --platform demo --follow", status=1)
    story.run("slipway versions shop", status=1)
    story.say("Over SSH, with a deploy key of its own and the key of the server, so that no other one is talked to:")
    story.run(f"slipway apps create app --repository {ssh.url('app')}")
    story.run("slipway apps set-repository-credential app --ssh-key-file shop-key --known-hosts known")
    story.run("slipway submit --app app --platform demo --follow")
    story.say("The secrets themselves are in no file of controller and agent, the database's included. (The search finds them where they are.)")
    places = f"{farm.folder}/controller {farm.folder}/controller.log {farm.folder}/agent-1 {farm.folder}/agent-1.log"
    story.run("cat token >secrets; sed -n 3p shop-key >>secrets; grep -lF -f secrets token shop-key")
    story.run(f"grep -rlaF -f secrets {places}", status=1)
    story.run("slipway audit list --action set_repository_credential")
