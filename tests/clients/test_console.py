"""The console in a real browser: it signs, shows, uploads, shares; what
strangers have named is text, and never runs."""

import json
import re
import urllib.request

import boto3
import pytest
from browser import Browser
from stack import Stack, free_port, pattern

EVIL = "<img src=x onerror=window.hacked=1>"
PHONE = dict(width=390, height=844, deviceScaleFactor=2, mobile=True)
DESKTOP = dict(width=1280, height=800, deviceScaleFactor=1, mobile=False)
PAGE = 200  # objects of a list that are shown at once
BIG = pattern((17 << 20) + 5)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """The server of docs/console.md; beside it, one without the sandbox."""
    directory = tmp_path_factory.mktemp("console")
    port, bare = free_port(), free_port()
    stack = Stack(directory, http_extra=f"""
    server {{
        listen 127.0.0.1:{port};
        s3_region us-east-1;
        location / {{
            s3_pass s3d;
            add_header Content-Security-Policy sandbox always;
        }}
        location /_console/ {{ s3_console; }}
        location = /_console/status {{ s3_status s3d; }}
    }}
    server {{
        listen 127.0.0.1:{bare};
        location / {{ s3_pass s3d; }}
        location /_console/ {{ s3_console; }}
        location = /_console/status {{ s3_status s3d; }}
    }}
""").start()
    stack.bare = f"http://127.0.0.1:{bare}/_console/"
    stack.root = f"http://127.0.0.1:{port}/"
    stack.url = f"{stack.root}_console/"
    yield stack
    stack.stop()
    stack.check_logs()


class View:
    """The page, used as people use it."""

    def __init__(self, page, stack):
        self.page, self.stack = page, stack

    def until(self, expression):
        """What it comes to, once that is true; looked at as pages are drawn."""
        return self.page.evaluate(f"""new Promise((resolve, reject) => {{
            const ends = performance.now() + 50000;
            const look = async () => {{
                let found = null;
                try {{ found = await ({expression}); }} catch {{ }}
                if (found) resolve(found);
                else if (performance.now() > ends) reject(new Error(
                    {json.dumps(expression)} + ": " + document.body.innerText));
                else requestAnimationFrame(look);
            }};
            look();
        }})""")

    def reads(self, text, where="document.body"):
        self.until(f"{where}.innerText.includes({json.dumps(text)})")

    def press(self, label, last=True):
        """A button or a link, by what it says."""
        found = (f"[...document.querySelectorAll('button, a, [role=tab]')]"
                 f".filter(e => e.textContent === {json.dumps(label)}"
                 f" && e.offsetParent)")
        self.until(f"{found}.length")
        self.page.evaluate(f"{found}.at({-1 if last else 0}).click()")

    def type(self, name, text):
        self.page.evaluate(f"""(input => {{ input.value = {json.dumps(text)};
            input.dispatchEvent(new Event("input", {{bubbles: true}})); }})(
            [...document.querySelectorAll("[name={name}]")].at(-1))""")

    def filter(self, prefix):
        self.page.evaluate(f"""(box => {{ box.value = {json.dumps(prefix)};
            box.dispatchEvent(new Event("input"));
        }})(document.querySelector("[type=search]"))""")

    def key(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.page.call("Input.dispatchKeyEvent", type=kind, key=key,
                           windowsVirtualKeyCode=code,
                           **({"text": "\r"} if key == "Enter" and
                              kind == "keyDown" else {}))

    def go(self, view):
        self.page.evaluate(f"location.hash = {json.dumps(view)}")

    def saved(self):
        """The document is there again, as S3 tells it."""
        self.until("!document.body.innerText.includes('Nothing is set.')")

    def check(self):
        """Nothing but S3's own errors was complained of, and forgets it."""
        assert [text for text in self.page.complaints()
                if not text.startswith("Failed to load resource")] == []
        self.page.forget()

    def sign_in(self, access, secret):
        """By the keyboard."""
        self.check()
        self.page.goto(self.stack.url)
        self.until("document.activeElement.name === 'access'")
        self.page.call("Input.insertText", text=access)
        self.key("Tab", 9)
        self.page.call("Input.insertText", text=secret)
        self.key("Enter", 13)

    def sign_in_and_stay(self, url):
        self.page.goto(url)
        self.until("document.activeElement.name === 'access'")
        self.type("access", self.stack.access_key)
        self.type("secret", self.stack.secret_key)
        self.page.evaluate("document.querySelector('[name=keep]').click()")
        self.press("Sign in")

    def close_dialogs(self):
        self.page.evaluate(
            "document.querySelectorAll('dialog').forEach(d => d.close())")


@pytest.fixture(scope="module")
def view(console, tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    page = browser.page()
    page.call("Network.disable")  # it would tell every byte of an upload
    page.call("Emulation.setDeviceMetricsOverride", **DESKTOP)
    view = View(page, console)
    view.sign_in(console.access_key, console.secret_key)
    view.reads("Requests per second")
    yield view
    view.check()
    browser.close()


# --- the signature --------------------------------------------------------------

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SUITE = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EXAMPLE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
UNRESERVED = ("-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
              "abcdefghijklmnopqrstuvwxyz")

# AWS's test suite: method, path, query, headers beside Host and the date, body.
VECTORS = [
    ("GET", "/", [["Param1", "value2"], ["Param1", "Value1"]], {}, "",
     "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"),
    ("GET", "/", [["Param2", "value2"], ["Param1", "value1"]], {}, "",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("GET", "/", [["Param1", "value2"], ["Param1", "value1"]], {}, "",
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
    ("GET", "/", [[UNRESERVED, UNRESERVED]], {}, "",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    ("GET", "/", [["\u1234", "bar"]], {}, "",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    ("GET", "/\u1234", [], {}, "",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("GET", "/" + UNRESERVED, [], {}, "",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("GET", "/example space/", [], {}, "",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("GET", "/", [], {"My-Header1": " value1", "My-Header2": '"a   b   c"'}, "",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    ("POST", "/", [], {"content-type": "application/x-www-form-urlencoded"},
     "Param1=value1",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
]


def test_signatures(view):
    """The vectors of core_sigv4_suite_test.c, by the browser's WebCrypto."""
    vectors = json.dumps([vector[:5] for vector in VECTORS])
    assert view.page.evaluate(f"""(async () => {{
        const m = await import("./sign.js");
        const key = await m.importSecret({json.dumps(SUITE)});
        const context = {{region: "us-east-1", service: "service",
            stamp: "20150830T123600Z"}};
        return Promise.all({vectors}.map(
            async ([method, path, query, headers, body]) => m.signature(key,
                context, {{method, path: m.uriEncode(path, true), query,
                    headers: {{...headers, host: "example.amazonaws.com",
                        "X-Amz-Date": context.stamp}},
                    payload: await m.sha256(body)}})));
    }})()""") == [vector[5] for vector in VECTORS]
    # The examples of S3's documentation: a header, and a pre-signed link.
    signed, link, readable = view.page.evaluate(f"""(async () => {{
        const m = await import("./sign.js");
        const mine = {{accessKey: "AKIAIOSFODNN7EXAMPLE", region: "us-east-1",
            secretKey: await m.importSecret({json.dumps(EXAMPLE)})}};
        const when = new Date("2013-05-24T00:00:00Z");
        const host = "examplebucket.s3.amazonaws.com";
        const request = {{method: "GET", path: "/test.txt", query: [], host}};
        const signed = await m.signHeaders(mine, "s3", {{...request,
            payload: "{EMPTY}", headers: {{range: "bytes=0-9", host}}}}, when);
        return [signed.authorization,
            await m.presign(mine, request, 86400, when),
            await crypto.subtle.exportKey("raw", mine.secretKey).then(
                () => true, () => false)];
    }})()""")
    assert signed.endswith("SignedHeaders=host;range;x-amz-content-sha256;"
                           "x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6e"
                           "d310bd44f0170aba48dd91039c6036bdb41")
    assert link.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995"
                         "330da4c265957d157751f604d404")
    assert not readable  # the secret


# --- who may come in ------------------------------------------------------------

def test_clock_that_is_wrong(view, console):
    """The time is the server's, as its first answer tells it."""
    script = view.page.call(
        "Page.addScriptToEvaluateOnNewDocument", source="""
        const now = Date.now;
        Date.now = () => now() + 3600000;""")
    view.sign_in(console.access_key, console.secret_key)
    view.reads("Requests per second")
    assert view.page.evaluate("""import("./session.js").then(
        m => Math.round(m.session().skew / 60000))""") == -60
    view.page.call("Page.removeScriptToEvaluateOnNewDocument", **script)


def test_sign_in(view, console):
    # The keys are in memory only, unless the user wants otherwise.
    assert view.page.evaluate("sessionStorage.length + localStorage.length") == 0
    assert console.secret_key not in view.page.evaluate(
        "document.documentElement.outerHTML")
    view.sign_in(console.access_key, "wrong")
    view.reads("SignatureDoesNotMatch")
    view.sign_in(EVIL, "wrong")
    view.reads("InvalidClientTokenId")
    view.sign_in_and_stay(console.url)
    view.reads("Requests per second")
    # A server that is away takes nothing from the user.
    view.page.call("Fetch.enable", patterns=[{"urlPattern": console.root}])
    view.page.goto(console.url)
    request = view.page.wait("Fetch.requestPaused")["requestId"]
    view.page.call("Fetch.failRequest", requestId=request,
                   errorReason="ConnectionRefused")
    view.reads("You are still signed in.")  # as long as the next try waits
    view.page.call("Fetch.disable")
    view.reads("Requests per second")
    view.page.forget()
    view.press("Sign out")
    view.page.wait("Page.loadEventFired")
    view.until("document.activeElement.name === 'access'")
    assert view.page.evaluate("sessionStorage.length") == 0
    view.sign_in(console.access_key, console.secret_key)
    view.reads("Requests per second")


def test_no_sandbox(view, console):
    """What an operator has forgotten the page says, and keeps no secret where
    objects could read it."""
    view.sign_in_and_stay(console.bare)
    view.reads("will be signed out")
    assert view.page.evaluate("sessionStorage.length + localStorage.length") == 0
    view.reads("add_header Content-Security-Policy sandbox always;")
    view.sign_in(console.access_key, console.secret_key)
    view.reads("Requests per second")


def test_another_region(view):
    """It is learnt from what S3 says of the wrong one."""
    regions = """import("./session.js").then(m => [m.session().region,
        m.session().region = "eu-west-1"])"""
    assert view.page.evaluate(regions) == ["us-east-1", "eu-west-1"]
    view.go("#/buckets")
    view.reads("There is no bucket yet.")
    assert view.page.evaluate(regions)[0] == "us-east-1"
    view.page.evaluate(
        "import('./session.js').then(m => { m.session().region = 'us-east-1'; })")


# --- the cluster ----------------------------------------------------------------

def test_cluster(view):
    view.go("#/")
    view.until("document.querySelectorAll('.bay.good').length === 6")
    view.reads("Metadata and events")
    view.until("document.querySelector('.line.one').getAttribute('d')")
    view.reads("/s", "document.querySelector('.tile')")
    # In danger: what the page says of numbers that are not those of today.
    assert view.page.evaluate("""(async () => {
        const {concerns, quantile} = await import("./metrics.js");
        const one = (value, labels = {}) => ({samples: [{labels, value}]});
        const of = metrics => concerns({s3_up: one(1),
            s3d_fully_redundant: one(1), ...metrics})
            .map(({level, text}) => `${level}: ${text}`);
        return [of({}), concerns({s3_up: one(0)})[0].text,
            of({s3d_heal_queue_blobs: one(3),
                s3d_reduced_blobs: one(3, {losses_left: "1"})}),
            of({s3d_reduced_blobs: one(2, {losses_left: "0"})})[0],
            of({s3d_unreadable_blobs: one(1)})[0],
            quantile([[1, 0], [2, 10], [Infinity, 0]], 0.5),
            quantile([[1, 0]], 0.5)];
    })()""") == [
        [], "s3d does not answer.", ["warn: Short of shards: 3 blobs."],
        "bad: Not one more loss is borne by 2 blobs.",
        "bad: 1 blob cannot be read: too few shards are there.",
        1.5, None]


# --- objects --------------------------------------------------------------------

def drop(view, paths):
    """What a person drags from the desktop onto the list."""
    box = view.page.evaluate("""(({x, y, width, height}) =>
        [x + width / 2, y + height / 2])(
        document.querySelector(".drop").getBoundingClientRect())""")
    for kind in ("dragEnter", "dragOver", "drop"):
        view.page.call("Input.dispatchDragEvent", type=kind, x=box[0], y=box[1],
                       data={"items": [], "files": [str(p) for p in paths],
                             "dragOperationsMask": 1})


def test_upload_by_drag_and_drop(view, console, tmp_path):
    view.go("#/buckets")
    view.press("New bucket")
    view.type("name", "holiday")
    view.press("Create")
    view.press("holiday")
    view.reads("Nothing here")
    (tmp_path / "big.bin").write_bytes(BIG)
    (tmp_path / "notes.txt").write_text("sunny\n")
    (tmp_path / "empty").write_bytes(b"")
    # The clock was put right after the last answer: uploads learn it, too.
    view.page.evaluate("import('./session.js').then(m => {"
                       " m.session().skew = 3600000; })")
    # A part that is lost is sent again; one that is paused, on "Resume".
    view.page.call("Fetch.enable", patterns=[{"urlPattern": "*?partNumber=3*"}])
    drop(view, [tmp_path / "empty", tmp_path / "notes.txt", tmp_path / "big.bin"])
    lost = view.page.wait("Fetch.requestPaused")["requestId"]
    view.page.call("Fetch.failRequest", requestId=lost,
                   errorReason="ConnectionReset")
    view.page.wait("Fetch.requestPaused", lambda e: e["requestId"] != lost)
    view.press("Pause")
    view.reads("paused", "document.getElementById('tasks')")
    view.page.call("Fetch.disable")
    view.press("Resume")
    view.until("document.getElementById('tasks').hidden &&"
               " document.querySelectorAll('.objects tbody tr').length === 3")
    client = console.client()
    big = client.get_object(Bucket="holiday", Key="big.bin")
    assert big["ETag"].endswith('-3"')  # in parts of 8 MiB
    assert big["Body"].read() == BIG
    notes = client.get_object(Bucket="holiday", Key="notes.txt")
    assert (notes["ContentType"], notes["Body"].read()) == (
        "text/plain", b"sunny\n")
    assert client.head_object(Bucket="holiday", Key="empty")["ContentLength"] == 0
    assert client.list_multipart_uploads(Bucket="holiday").get("Uploads") is None


ODD = ["a#b", "a?b=c&d", "100%", "50%25", "1+1", " a  b ", "päth/日本/🎉",
       "a//b", "/a", "//", "a/", "a/./b", "../a", "a/..", "\\ \"'<>&",
       "a\u202eb", "a;b,c:d@e=f$", "~*()!", "-._", "\r\n\t", "e\u0301"]


def test_odd_names(view, console):
    client = console.client()
    client.create_bucket(Bucket="odd")
    assert view.page.evaluate(f"""(async names => {{
        const {{Transfer}} = await import("./transfer.js");
        const {{send, link}} = await import("./s3.js");
        const {{signal}} = new AbortController();
        const read = async name => {{
            await new Transfer("odd", name, new File([name], ""), () => {{}})
                .run(signal);
            return [
                await (await send("GET", {{bucket: "odd", key: name}})).text(),
                await (await fetch(await link("odd", name, 60))).text()];
        }};
        return Promise.all(names.map(read));
    }})({json.dumps(ODD)})""") == [[name, name] for name in ODD]
    listed = client.list_objects_v2(Bucket="odd")["Contents"]
    assert sorted(o["Key"] for o in listed) == sorted(ODD)
    view.go("#/objects/odd/")
    view.until("document.querySelectorAll('.objects tbody tr').length > 9")
    view.page.evaluate("document.querySelector('th input').click()")
    view.press(view.until("document.querySelector('.danger').textContent"))
    view.press("Delete")
    view.reads("Nothing here")
    assert client.list_objects_v2(Bucket="odd")["KeyCount"] == 0



def test_cancelled_upload(view, console, tmp_path):
    (tmp_path / "slow.bin").write_bytes(BIG)
    # CreateMultipartUpload stays on its way until it is cancelled.
    view.page.call("Fetch.enable", patterns=[{"urlPattern": "*?uploads=*"}])
    view.go("#/objects/holiday/")
    view.reads("big.bin")
    drop(view, [tmp_path / "slow.bin"])
    view.page.wait("Fetch.requestPaused",
                   lambda e: "?uploads=" in e["request"]["url"])
    # Who signs out and then stays has lost nothing.
    view.page.evaluate("""void setTimeout(() => [...document.querySelectorAll(
        "button")].find(e => e.textContent === "Sign out").click())""")
    view.page.wait("Page.javascriptDialogOpening")
    view.page.call("Page.handleJavaScriptDialog", accept=False)
    view.press("Cancel")
    view.page.call("Fetch.disable")
    view.until("document.getElementById('tasks').hidden")
    client = console.client()
    assert "Uploads" not in client.list_multipart_uploads(Bucket="holiday")
    assert client.list_objects_v2(Bucket="holiday")["KeyCount"] == 3


def test_list(view, console):
    client = console.client()
    client.create_bucket(Bucket="many")
    # The last ones have no place in XML.
    keys = [f"k{i:03}" for i in range(PAGE + 1)] + [
        "a b/+%é/x", "a b/../y", "a\x01/z", "a\ufffe"]
    for key in keys:
        client.put_object(Bucket="many", Key=key, Body=key.encode())
    rows = "document.querySelectorAll('.objects tbody tr').length"
    view.go("#/objects/many/")
    view.until(f"{rows} === {PAGE}")
    assert view.page.evaluate("""(more => {
        more.click();
        return more.disabled;
    })(document.querySelector(".more button"))""")  # it is once for each page
    view.until(f"{rows} === {PAGE + 4}")
    view.press("a b/", last=False)
    view.reads("+%é/")
    view.press("../")
    view.reads("a b / ..")
    view.press("y")  # a browser must not take ".." for a directory
    view.press("Details")
    view.reads("a b/../y", "document.querySelector('dialog')")
    view.key("Escape", 27)
    view.until("!document.querySelector('dialog')")
    view.go("#/objects/many/")
    view.until(f"{rows} === {PAGE}")
    # Nothing can be deleted that is of another list,
    shown = f"[{rows}, document.querySelector('.danger').hidden]"
    view.filter("a")
    view.until(f"{rows} === 3")
    view.page.evaluate("document.querySelector('.tick input').click()")
    view.reads("Delete 3 selected")
    assert view.page.evaluate(f"""(versions => {{
        versions.click();
        const found = {shown};
        versions.click();
        return found;
    }})(document.querySelector(".check input"))""") == [0, True]
    view.until(f"{rows} === 3")
    # or of one that does not come.
    view.page.evaluate("document.querySelector('.tick input').click()")
    view.reads("Delete 3 selected")
    view.page.call("Fetch.enable", patterns=[{"urlPattern": "*prefix=ax*"}])
    view.filter("ax")
    request = view.page.wait("Fetch.requestPaused",
                             lambda params: "prefix=ax" in params["request"]["url"])
    view.page.call("Fetch.failRequest", requestId=request["requestId"],
                   errorReason="Failed")
    view.page.call("Fetch.disable")
    view.reads("The server cannot be reached.")
    assert view.page.evaluate(shown) == [0, True]
    view.filter("a")
    view.until(f"{rows} === 3")
    view.page.evaluate("document.querySelector('.tick input').click()")
    view.press("Delete 3 selected")
    view.reads("1 objects and everything below a\x01/, a b/?")
    view.press("Delete")
    view.reads("Nothing here")
    assert client.list_objects_v2(Bucket="many", Prefix="a")["KeyCount"] == 0


def test_strangers_names_are_text(view, console):
    client = console.client()
    client.create_bucket(Bucket="strange")
    client.put_object(Bucket="strange", Key=EVIL, ContentType="text/html",
                      Body=b"<script>window.hacked = 1</script>" + EVIL.encode(),
                      Metadata={"note": EVIL})
    client.put_object(Bucket="strange", Key="evil.svg",
                      ContentType="image/svg+xml", Body=b"""
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>
top.hacked = 1; parent.hacked = 1;</script><rect width="9" height="9"/></svg>""")
    view.go("#/objects/strange/")
    view.press(EVIL)
    view.reads("<script>window.hacked = 1</script>",
               "document.querySelector('pre.preview')")
    view.press("Details")
    view.reads(EVIL, "document.querySelector('.details')")
    assert view.page.evaluate(
        "document.querySelectorAll('dialog img, dialog iframe').length") == 0
    view.close_dialogs()
    view.press("evil.svg")
    view.until("document.querySelector('img.preview').naturalWidth === 9")
    view.close_dialogs()
    view.go("#/objects/" + EVIL.replace("/", "%2F").replace("#", "%23"))
    view.reads("InvalidBucketName")
    assert view.page.evaluate("window.hacked ?? null") is None
    view.check()
    # Opened by itself, an object has no origin, and runs nothing.
    alone = view.page.browser.page()
    alone.goto(view.page.evaluate("import('./s3.js').then(m => m.link("
                                  f"'strange', {json.dumps(EVIL)}, 60))"))
    assert alone.evaluate("[origin, window.hacked ?? null]") == ["null", None]
    alone.close()
    # Even a string that became markup would run nothing.
    assert view.page.evaluate("""[() => document.body.innerHTML = "<b>x</b>",
        () => document.write("x")].map(
        act => { try { act(); return "ran"; } catch { return "refused"; } })
    """) == ["refused"] * 2
    view.page.evaluate("0")
    view.page.forget()  # the browser has complained


def test_object(view, console):
    client = console.client()
    client.create_bucket(Bucket="papers")
    client.put_bucket_versioning(
        Bucket="papers", VersioningConfiguration={"Status": "Enabled"})
    for text in (b"first", b"second"):
        client.put_object(Bucket="papers", Key="a/report.txt", Body=text,
                          ContentType="text/plain")
    view.go("#/objects/papers/a%2F")
    view.press("report.txt")
    view.reads("second", "document.querySelector('pre.preview')")
    view.press("Tags")
    view.press("Add a tag")
    view.page.evaluate("""[...document.querySelectorAll(".tag input")].forEach(
        (input, i) => input.value = ["<i>team</i>", "blue"][i])""")
    view.page.evaluate("document.querySelector('dialog form').requestSubmit()")
    view.reads("InvalidTag")  # S3 takes no brackets, and says so
    view.page.evaluate("document.querySelector('.tag input').value = 'team'")
    view.page.evaluate("document.querySelector('dialog form').requestSubmit()")
    view.until("""import("./s3.js").then(m => m.readTags("papers",
        "a/report.txt")).then(tags => tags.join() === "team,blue")""")
    view.press("Share")
    view.press("Make a link")
    link = view.until("document.querySelector('.copyable input').value")
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"second"
        assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert re.search("X-Amz-Expires=3600&", link)
    view.press("Versions")
    view.press("Restore")
    view.until("document.querySelectorAll('.version').length === 3")
    assert client.get_object(Bucket="papers", Key="a/report.txt")[
        "Body"].read() == b"first"
    view.close_dialogs()
    client.delete_object(Bucket="papers", Key="a/report.txt")
    view.page.evaluate("document.querySelector('.check input').click()")
    view.until("document.querySelectorAll('.objects tbody tr').length === 4")
    view.reads("deleted", "document.querySelector('.objects')")


# --- rules and users --------------------------------------------------------------

def test_rules(view, console):
    client = console.client()
    client.create_bucket(Bucket="ruled")
    view.go("#/settings/ruled")
    view.reads("Nothing is set.")
    area = "document.querySelector('textarea')"
    view.page.evaluate(f"{area}.value = '{{\"Version\": 1}}'")
    view.press("Save")
    view.reads("MalformedPolicy")
    view.press("Example")
    view.press("Save")
    view.reads("AccessDenied")  # the public access block holds it back
    view.press("Public access")
    view.until(f"{area}.value.includes('  <BlockPublicAcls>true')")
    view.press("Remove")
    view.press("Remove")
    view.reads("Nothing is set.")
    view.press("Policy")
    view.press("Save")
    view.saved()
    policy = json.loads(client.get_bucket_policy(Bucket="ruled")["Policy"])
    assert policy["Statement"][0]["Resource"] == "arn:aws:s3:::ruled/*"
    view.press("Versioning")
    view.press("Example")
    view.press("Save")
    view.until(f"{area}.value.includes('xmlns')")
    assert client.get_bucket_versioning(Bucket="ruled")["Status"] == "Enabled"
    client.create_multipart_upload(Bucket="ruled", Key="half & half")
    view.press("Uploads")
    view.reads("half & half")
    view.press("Abort")
    view.press("Abort")
    view.reads("Every upload has ended.")
    assert "Uploads" not in client.list_multipart_uploads(Bucket="ruled")


def attach(view, policy):
    view.until("document.querySelector('[name=arn]')")
    view.page.evaluate(f"""(select => select.value = [...select.options].find(
        option => option.text === {json.dumps(policy)}).value)(
        document.querySelector("[name=arn]"))""")
    view.press("Attach")


def document(view, text):
    """Into the dialog that asks for one, and saves it."""
    view.until("document.querySelector('[name=document]')")
    view.type("document", text)
    view.press("Save")
    view.until("!document.querySelector('[name=document]')")


def iam_client(console):
    return boto3.client("iam", endpoint_url=console.endpoint,
                        region_name="us-east-1",
                        aws_access_key_id=console.access_key,
                        aws_secret_access_key=console.secret_key)


def policy(action, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, **more}]})


def test_groups_roles_policies(view, console):
    iam = iam_client(console)
    iam.create_user(UserName="bob")
    view.go("#/policies")
    view.press("New policy")
    view.type("name", "team")
    view.type("document", "{}")
    view.press("Save")
    view.reads("MalformedPolicyDocument")  # S3's own words
    document(view, policy("s3:GetObject", Resource="*"))
    view.press("team")
    view.press("Change")
    document(view, policy("s3:PutObject", Resource="*"))
    view.reads("version v2")
    view.close_dialogs()
    view.go("#/groups")
    view.press("New group")
    view.type("name", "editors")
    view.press("Create")
    view.press("Add")
    view.press("Remove")
    view.press("Add")
    view.until("document.querySelector('dialog td').textContent === 'bob'")
    view.press("Policies")
    attach(view, "team")
    view.press("New policy of its own")
    view.type("name", "own")
    document(view, policy("s3:ListBucket", Resource="*"))
    view.reads("its own")
    view.close_dialogs()
    assert [u["UserName"] for u in iam.get_group(GroupName="editors")["Users"]] == [
        "bob"]
    assert iam.list_group_policies(GroupName="editors")["PolicyNames"] == ["own"]
    view.go("#/roles")
    view.press("New role")
    view.type("name", "nightly")
    view.press("Save")  # the example trusts the account
    view.press("Change")
    document(view, policy("sts:AssumeRole", Principal="*"))
    view.reads('"*"', "document.querySelector('dialog pre')")
    view.press("Policies")
    attach(view, "team")
    view.reads("Detach")
    view.close_dialogs()
    assert iam.get_role(RoleName="nightly")["Role"]["AssumeRolePolicyDocument"][
        "Statement"][0]["Principal"] == "*"
    view.go("#/policies")
    view.press("team")
    view.press("Who has it")
    view.reads("editors")
    view.reads("nightly")
    view.close_dialogs()
    view.press("Delete")
    view.press("Delete")
    view.reads("DeleteConflict")
    view.close_dialogs()
    # They go with all that IAM wants to be taken away first.
    for kind, empty in (("Roles", "no role"), ("Groups", "no group")):
        view.go(f"#/{kind.lower()}")
        view.until(f"document.querySelector('h1').textContent === '{kind}'")
        view.press("Delete")
        view.press("Delete")
        view.reads(f"There is {empty} yet")
    view.go("#/policies")
    view.press("Delete")
    view.press("Delete")
    view.until("!document.body.innerText.includes('Delete')")
    assert iam.list_policies(Scope="Local")["Policies"] == []
    iam.delete_user(UserName="bob")


def test_users(view, console):
    view.go("#/users")
    view.press("New user")
    view.type("name", "ann")
    view.press("Create")
    view.press("New key")
    access, secret = view.until("""(inputs => inputs.length === 2 &&
        inputs.map(input => input.value))(
        [...document.querySelectorAll(".copyable input")])""")
    view.page.evaluate("[...document.querySelectorAll('dialog')].at(-1).close()")
    view.reads(access)
    view.press("Policies")
    view.reads("No policy")
    attach(view, "AmazonS3ReadOnlyAccess")
    view.press("Detach")
    view.reads("No policy")
    # She may come in, and sees what her rights show her.
    view.sign_in(access, secret)
    view.reads("user/ann")
    view.go("#/buckets")
    view.reads("AccessDenied")
    view.go("#/users")
    view.reads("AccessDenied")
    view.sign_in(console.access_key, console.secret_key)
    view.reads("Requests per second")
    view.go("#/users")
    view.press("Delete")
    view.press("Delete")
    view.reads("There is no user yet")


# --- any screen -------------------------------------------------------------------

def test_phone_and_dark(view, console, tmp_path):
    views = [("#/", "Metadata and events"), ("#/buckets", "papers"),
             ("#/objects/papers/a%2F", "Nothing here"),
             ("#/settings/ruled", "Who may do what"),
             ("#/users", "There is no user yet")]
    view.page.call("Emulation.setDeviceMetricsOverride", **PHONE)
    for scheme, text in (("light", "rgb(23, 33, 43)"),
                         ("dark", "rgb(228, 234, 240)")):
        view.page.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])
        assert view.page.evaluate(
            "getComputedStyle(document.documentElement).color") == text
        for where, content in views:
            view.go(where)
            view.reads(content)
            assert view.page.evaluate(
                "document.documentElement.scrollWidth <= innerWidth"), where
    view.page.call("Emulation.setDeviceMetricsOverride", **DESKTOP)
