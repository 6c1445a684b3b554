"""The story of one project on three platforms."""

from platforms import ALL, PlatformsFarm
from recorder import run_of, story


@story("platforms", "One project, three platforms", farm=PlatformsFarm, agents=2)
def platforms(story, farm):
    story.say("""One uni-app project (`deploy/demo/tea-timer`) goes to WeChat, Alipay and Douyin with one command. (The platforms are Slipway's
        stand-in here; the clients are the real ones.)""")
    command = f"slipway submit --app tea-timer --platform {ALL} --publish --follow --version"
    story.run(f"{command} 1.0.1")
    story.say("""Each platform fails for itself. Now Alipay refuses what it gets, and Douyin takes it, but the connection breaks before its
        answer. The exit status is that of the outcome that nobody knows:""")
    farm.fault({"fault": "refuse"}, ["alipay"])
    farm.fault({"fault": "lost"}, ["douyin"])
    second = f"{command} 1.0.2"
    path = story.begin(second)
    run = story.wait("the submit", lambda: run_of(path))
    story.end(second, status=4)
    farm.fault({})
    tasks = {task["platform"]: task["id"] for task in farm.json("tasks", "--run", run)["tasks"] if "PUBLISH" in task["kind"]}
    story.say("Douyin can be asked what became of it. What is found there becomes the release it is:")
    story.run(f"slipway releases resolve {tasks['douyin']} --probe --follow --reason 'answer lost'")
    story.say("Alipay published nothing, so it alone gets the version once more:")
    story.run("slipway submit --app tea-timer --platform alipay --version 1.0.2 --publish --follow")
    story.run("slipway releases")
