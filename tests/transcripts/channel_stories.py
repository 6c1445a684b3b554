"""The story of products that are handed to people."""

from access_stories import PASSWORD, log_in, server
from channels import MailFarm, state
from farm import WEIXIN, free_port
from mail_servers import PASSWORD as MAIL_PASSWORD
from mail_servers import USER
from recorder import story

PARAMETERS = """
parameters:
  greeting:
    type: choice
    choices: [welcome, sale]
    default: welcome
    label: {en: Greeting, zh: 欢迎语}
"""


class StoryFarm(MailFarm):
    """One whose links lead to it."""

    def __init__(self):
        super().__init__()
        self.http_port = free_port()
        self.controller_options = f"public_url: http://127.0.0.1:{self.http_port}\n"


@story("channels", "A product manager hands a product to people", farm=StoryFarm)
def channels(story, farm):
    shop = farm.application("shop")
    files = farm.shop("shop")
    files["slipway.yaml"] += PARAMETERS.encode()
    files["scripts/build.sh"] = files["scripts/build.sh"].replace(b"exec node", b"node") + b'printf "%s" "$SLIPWAY_PARAM_GREETING" >"$SLIPWAY_OUTPUT/lib/greeting.txt"\n'
    shop.commit(files)
    data, exim = farm.folder / "controller", state["exim"]
    story.say("""An admin adds two channels: pages, and mails by way of a mail server (Exim here, with STARTTLS and a login). The server's password is set by a
        command of its own, and shown by none.""")
    story.run(f"head -1 {data}/admin.password | slipway login {server(farm)} --context root --account admin --password-stdin")
    story.run("slipway --context root targets create page")
    story.run(f"slipway --context root targets create email/qa --smtp smtp://127.0.0.1:{exim.port} --user {USER} --ca-file {exim.folder}/ca.pem"
              " --from farm@example.com --to qa@example.com --may-reach @example.com")
    (story.desk / "smtp-password").write_text(MAIL_PASSWORD + "\n")
    (story.desk / "smtp-password").chmod(0o600)
    story.run("slipway --context root targets secret email/qa --secret-file smtp-password")
    story.run(f"{PASSWORD} | slipway --context root accounts create wang --kind member --full-name 王芳 --password-stdin")
    story.run("slipway --context root grants add wang --app shop --preset product")
    story.say("The product manager logs in. What she can choose, she is told:")
    log_in(story, farm, "wang")
    story.wait("the repository to be read", lambda: farm.json("overview", "shop")["applications"][0].get("build_parameters"))
    story.run("slipway --context wang overview shop")
    story.run("slipway --context wang apps parameters shop")
    story.say("She looks at a preview first:")
    story.run(f"slipway --context wang submit --app shop --platform {WEIXIN} --param greeting=sale --version 3.0.0-rc1 --preview --follow")
    story.say("Then the product goes to a page and by mail at once, also to somebody whom she names. The platform is not asked for anything:")
    text = story.run(f"slipway --context wang submit --app shop --platform {WEIXIN} --param greeting=sale --version 3.0.0"
                     " --description '秋季促销' --channel page --channel email/qa=li@example.com --follow")
    page = next(one for one in farm.releases() if one["target"] == "page/page")
    story.say("What came to the mailbox:")
    story.wait("the mail", exim.mails)
    (story.desk / "mailbox").symlink_to(exim.folder / "box/new")
    story.run("python3 tests/transcripts/show_mail mailbox/*")
    story.say("The page, as a browser gets it, and the package behind it:")
    story.run(f"curl -sS {page['link']} | sed 's/<svg.*<.svg>/<svg…>/; s/<style>.*<.style>//'")
    story.run(f"curl -sS -O -J {page['link']}/file && sha256sum *.zip && unzip -p *.zip lib/greeting.txt && echo")
    story.say("""For a partner who may open it alone, she hands the same product on, encrypted for the partner's certificate, at a page that asks for a password.
        Nothing is built again:""")
    story.run("openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=partner -keyout partner.key -out partner.pem 2>/dev/null", show=False)
    (story.desk / "page-password").write_text("only for partners")
    (story.desk / "page-password").chmod(0o600)
    story.run(f"slipway --context wang publish {page['id']} --channel page --recipient partner.pem --page-password-file page-password --follow")
    sealed = farm.releases()[0]
    assert sealed["build_task"] == page["build_task"] and sealed["link"] != page["link"], sealed
    story.say("The partner says the password and gets the file, which `openssl` opens:")
    story.run(f"curl -sS -o /dev/null -w '%{{http_code}}\\n' {sealed['link']}/file")
    story.run(f"curl -sS -o /dev/null -w '%{{http_code}}\\n' -c cookies --data-urlencode password@page-password {sealed['link']}")
    story.run(f"curl -sS -O -J -b cookies {sealed['link']}/file && ls *.cms")
    story.run("openssl cms -decrypt -inform DER -in *.cms -inkey partner.key -recip partner.pem -out opened.zip && cmp opened.zip shop-weixin-3.0.0.zip && echo the same")
    story.say("An address that the channel does not allow is refused, before anything is built:")
    story.run(f"slipway --context wang submit --app shop --platform {WEIXIN} --channel email/qa=somebody@elsewhere.example", status=3)
    assert page["link"] in text
