"""A small site out of a bucket in a real browser: page, assets, deep link,
video, requests of other origins, uploads by a form."""

import html
import json
import struct
import subprocess
import zlib

import pytest
from browser import Browser
from stack import Stack, free_port
from webm import webm

SECONDS = 24
VIDEO = webm(SECONDS, 1 << 19)

INDEX = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>A site</title>
<link rel="stylesheet" href="/assets/style.css">
<script src="/assets/app.js" defer></script></head>
<body><h1>A site</h1><p id="route"></p><img id="logo" src="/assets/logo.png"
 alt="logo"><video id="video" src="/video.webm" preload="metadata" muted
 width="160" height="90" controls></video></body></html>"""
STYLE = "h1 { color: rgb(1, 2, 3); } img, video { image-rendering: pixelated }"
SCRIPT = """"use strict";
const where = location.hash ? location.hash.slice(2) : location.pathname;
document.getElementById("route").textContent = "This is " + where;"""


def png(side, red, green, blue):
    def chunk(name, data):
        return (struct.pack(">I", len(data)) + name + data
                + struct.pack(">I", zlib.crc32(name + data)))
    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


SITE = {
    "index.html": (INDEX.encode(), "text/html"),
    "assets/style.css": (STYLE.encode(), "text/css"),
    "assets/app.js": (SCRIPT.encode(), "text/javascript"),
    "assets/logo.png": (png(64, 200, 60, 20), "image/png"),
    "video.webm": (VIDEO, "video/webm"),
    "thanks.html": (b"<!DOCTYPE html><title>Thanks</title>", "text/html"),
    "data.json": (b'{"answer": 42}', "application/json"),
}
OPEN = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
     "Resource": "arn:aws:s3:::site/*"}]})


def servers(directory, ports):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=site.test", "-keyout", directory / "key.pem", "-out",
         directory / "cert.pem"], check=True, capture_output=True)
    return f"""
    ssl_certificate {directory}/cert.pem;
    ssl_certificate_key {directory}/key.pem;
    server {{
        listen 127.0.0.1:{ports["http"]};
        listen 127.0.0.1:{ports["https"]} ssl http2;
        server_name site.test other.test;
        s3_static s3d site;
        s3_try $uri $uri/ /index.html;
        location /assets/ {{ s3_try $uri =404; }}
        location = /uploads {{ s3_pass s3d; }}
    }}
    server {{
        listen 127.0.0.1:{ports["website"]};
        location / {{ s3_website s3d; s3_domain web.test; }}
    }}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The server, and where the site is: by nginx's location, the same over
    HTTP/2 and TLS, and by the website endpoint."""
    directory = tmp_path_factory.mktemp("site")
    ports = {name: free_port() for name in ("http", "https", "website")}
    stack = Stack(directory, http_extra=servers(directory, ports)).start()
    stack.urls = {"http": f"http://site.test:{ports['http']}",
                  "https": f"https://site.test:{ports['https']}",
                  "website": f"http://site.web.test:{ports['website']}"}
    stack.other = f"http://other.test:{ports['http']}"
    client = stack.client()
    for bucket in ("site", "uploads"):
        client.create_bucket(Bucket=bucket)
    client.delete_public_access_block(Bucket="site")
    client.put_bucket_policy(Bucket="site", Policy=OPEN)
    client.put_bucket_website(Bucket="site", WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"}, "RoutingRules": [{
            "Condition": {"HttpErrorCodeReturnedEquals": "403"},
            "Redirect": {"ReplaceKeyPrefixWith": "#!/",
                         "HttpRedirectCode": "302"}}]})
    for key, (body, kind) in SITE.items():
        client.put_object(Bucket="site", Key=key, Body=body, ContentType=kind)
    yield stack
    stack.stop()
    stack.check_logs()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    page = browser.page()
    yield page
    page.close()


each_way = pytest.mark.parametrize("way", ["http", "https", "website"])


@each_way
def test_page_and_assets(site, page, way):
    page.goto(site.urls[way] + "/")
    assert page.complaints() == []
    assert page.evaluate("document.title") == "A site"
    assert page.evaluate(
        "document.getElementById('route').textContent") == "This is /"
    assert page.evaluate(
        "getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
    assert page.evaluate("logo.complete && logo.naturalWidth") == 64
    protocol = "h2" if way == "https" else "http/1.1"
    for part, kind in (("/assets/style.css", "text/css"),
                       ("/assets/app.js", "text/javascript"),
                       ("/assets/logo.png", "image/png")):
        [(_, response)] = page.responses(part)
        assert (response["status"], response["mimeType"],
                response["protocol"]) == (200, kind, protocol)
    # Again: the browser asks whether its copy is still good; it keeps none of
    # a server whose certificate it does not know.
    page.forget()
    page.call("Page.reload")
    page.wait("Page.loadEventFired")
    document = page.wait("Network.requestWillBeSent",
                         lambda event: event.get("type") == "Document")
    assert page.wait(
        "Network.responseReceivedExtraInfo",
        lambda event: event["requestId"] == document["requestId"]
    )["statusCode"] == (
        200 if way == "https" else 304)
    assert page.evaluate("document.title") == "A site"


@each_way
def test_deep_link(site, page, way):
    page.goto(site.urls[way] + "/users/42")
    assert page.evaluate("route.textContent") == "This is /users/42"
    assert page.evaluate("document.title") == "A site"
    # The website endpoint can only send elsewhere, as S3's.
    assert page.evaluate("location.href") == site.urls[way] + (
        "/#!/users/42" if way == "website" else "/users/42")
    assert page.complaints() == []


def header(message, name):
    return {key.lower(): value
            for key, value in message["headers"].items()}.get(name)


SEEK = """Promise.all([
    new Promise((resolve, reject) => {
        video.onerror = () => reject(new Error(video.error.message));
        video.onseeked = () => resolve(video.currentTime);
    }),
    new Promise(resolve => {
        const look = (now, frame) => frame.mediaTime > 1
            ? resolve(frame.mediaTime) : video.requestVideoFrameCallback(look);
        video.requestVideoFrameCallback(look);
        video.currentTime = %s;
    })])"""


@each_way
def test_video_seeks_by_ranges(site, page, way):
    page.call("Network.setCacheDisabled", cacheDisabled=True)
    page.goto(site.urls[way] + "/")
    assert page.evaluate("""new Promise(resolve => {
        const known = () => resolve([video.duration, video.videoWidth]);
        video.readyState ? known() : video.onloadedmetadata = known;
    })""") == [SECONDS, 1]
    # Where it is, and of when the picture is that it shows.
    assert page.evaluate(SEEK % (SECONDS - 2.5)) == [SECONDS - 2.5] * 2
    parts = []
    for number, response in page.responses("/video.webm"):
        asked = page.wait("Network.requestWillBeSentExtraInfo",
                          lambda event: event["requestId"] == number)
        start = int(header(asked, "range")[len("bytes="):].split("-")[0])
        assert response["status"] == 206
        assert header(response, "content-range") == (
            f"bytes {start}-{len(VIDEO) - 1}/{len(VIDEO)}")
        parts.append(start)
    assert parts[0] == 0 and parts[-1] > len(VIDEO) * 3 // 4
    assert page.complaints() == []


def fetched(page, url, options=""):
    """[status, body, ETag] as a script sees them, or "refused"."""
    return page.evaluate(f"""fetch({url!r}{options}).then(
        async r => [r.status, await r.text(), r.headers.get("ETag")],
        () => "refused")""")


def test_other_origins(site, page):
    client = site.client()
    client.put_bucket_cors(Bucket="site", CORSConfiguration={"CORSRules": [{
        "AllowedOrigins": [site.other], "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["content-type", "x-amz-*"],
        "ExposeHeaders": ["ETag"]}]})
    etag = client.head_object(Bucket="site", Key="data.json")["ETag"]
    good = [200, SITE["data.json"][0].decode(), etag]
    put = site.client(signature_version="s3v4").generate_presigned_url(
        "put_object", Params={"Bucket": "site", "Key": "put.txt"})
    delete = site.client(signature_version="s3v4").generate_presigned_url(
        "delete_object", Params={"Bucket": "site", "Key": "put.txt"})
    sent = ', {method: "PUT", body: "sent", headers: {"Content-Type": "text/x"}}'

    page.goto(site.other + "/thanks.html")
    for where in (site.urls["http"], site.urls["https"], site.urls["website"],
                  site.endpoint + "/site"):
        assert fetched(page, where + "/data.json") == good
        # With a header that is asked for first.
        assert fetched(page, where + "/data.json",
                       ', {headers: {"X-Amz-Meta-Any": "1"}}') == good
    assert fetched(page, put, sent)[0] == 200
    stored = client.get_object(Bucket="site", Key="put.txt")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"sent", "text/x")
    assert page.complaints() == []
    # Neither the method nor the header is allowed.
    assert fetched(page, delete, ', {method: "DELETE"}') == "refused"
    for where in (site.urls["http"], site.urls["https"], site.endpoint + "/site"):
        assert fetched(page, where + "/data.json",
                       ', {headers: {"X-Other": "1"}}') == "refused"
    assert client.head_object(Bucket="site", Key="put.txt")["ETag"]

    page.goto(site.urls["http"] + "/thanks.html")  # an origin that may not
    assert fetched(page, site.urls["https"] + "/data.json") == "refused"
    assert fetched(page, put, sent) == "refused"
    assert [text for text in page.complaints() if "CORS policy" in text]
    assert fetched(page, site.urls["http"] + "/data.json") == good  # its own


def form(site, action, **fields):
    """Stores a page with the form that boto3 makes; returns its address."""
    post = site.client(signature_version="s3v4").generate_presigned_post(
        "uploads", "from/${filename}", Fields=fields, Conditions=[
            ["content-length-range", 1, 1 << 20],
            *({name: value} for name, value in fields.items())])
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}"'
        f' value="{html.escape(value)}">'
        for name, value in post["fields"].items())
    site.client().put_object(
        Bucket="site", Key="upload.html", ContentType="text/html",
        Body=f'<!DOCTYPE html><meta charset="utf-8"><title>Upload</title>'
             f'<form method="post" action="{action}" '
             f'enctype="multipart/form-data">{hidden}'
             f'<input type="file" name="file"><button>Send</button></form>')
    return site.urls["https"] + "/upload.html"


def test_upload_by_a_form(site, page, tmp_path):
    client = site.client()
    path = tmp_path / "a picture ü.png"
    path.write_bytes(png(32, 1, 2, 3))
    key = "from/" + path.name

    # Over HTTP/2 and TLS; then the browser is sent to a page.
    thanks = site.urls["https"] + "/thanks.html"
    page.goto(form(site, site.urls["https"] + "/uploads",
                   success_action_redirect=thanks))
    page.choose_file("input[type=file]", path)
    page.click("button")
    stored = client.get_object(Bucket="uploads", Key=key)
    assert stored["Body"].read() == path.read_bytes()
    assert page.evaluate("document.title") == "Thanks"
    assert page.evaluate("location.href").startswith(thanks + "?")
    assert page.evaluate(
        "Object.fromEntries(new URLSearchParams(location.search))") == {
            "bucket": "uploads", "key": key, "etag": stored["ETag"]}

    # To the API, which answers 201 with a document.
    client.delete_object(Bucket="uploads", Key=key)
    page.goto(form(site, site.endpoint + "/uploads",
                   success_action_status="201"))
    page.choose_file("input[type=file]", path)
    page.click("button")
    [(_, response)] = page.responses(site.endpoint + "/uploads")
    assert (response["status"], response["mimeType"]) == (201, "application/xml")
    assert page.evaluate(
        "document.getElementsByTagName('Key')[0].textContent") == key
    assert client.get_object(
        Bucket="uploads", Key=key)["Body"].read() == path.read_bytes()

    # What the policy does not allow is an error that one can read.
    path.write_bytes(bytes((1 << 20) + 1))
    page.goto(site.urls["https"] + "/upload.html")
    page.choose_file("input[type=file]", path)
    page.click("button")
    assert page.evaluate(
        "document.getElementsByTagName('Code')[0].textContent") == "EntityTooLarge"
