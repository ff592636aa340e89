"""The configurations that the documents show: nginx takes each, and answers.

What a block leaves out is put around it (http, server), and what belongs to
another machine is replaced: ports, the socket, the module, certificates.
"""

import base64
import contextlib
import hashlib
import http.client
import re
import socket
import ssl
import subprocess

import pytest
from stack import BUILD, TOP, accepts, free_port, same_tree, wait_for

OBJECTS = {
    "site": {"index.html": b"home", "404.html": b"lost", "x.css": b"p{}",
             "app/index.html": b"app", "app/assets/a.js": b"js",
             "assets/b.css.gz": b"packed", "downloads/one": b"1"},
    "media": {"a.txt": b"media"},
    "my-bucket": {"assets/x.css": b"own"},
    "private": {"reports/2026.pdf": b"report"},
}

DENIED = b"<Code>AccessDenied</Code>"
LINK = base64.urlsafe_b64encode(hashlib.md5(
    b"4102444800/download/reports/2026.pdf a-secret").digest()).decode(
        ).rstrip("=")

# Document and heading: what its blocks, in their order, are asked.
# (host, path, status, what the body has)
ASKS = {
    ("README.md", "Put it into your nginx"): [
        [("s3.example.org", "/site/x.css", 403, DENIED)]],
    ("docs/drop-in.md", "Five lines"): [
        [("s3.example.org", "/site/x.css", 403, DENIED),
         ("www.example.org", "/media/a.txt", 200, b"media")]],
    ("docs/drop-in.md", "In place of root"): [
        [("www.example.org", "/", 200, b"home"),
         ("www.example.org", "/app/deep/link", 200, b"app"),
         ("www.example.org", "/none", 404, b"lost")]],
    ("docs/drop-in.md", "In place of proxy_pass to MinIO"): [
        [("site.s3.example.org", "/x.css", 403, DENIED)]],
    ("docs/static.md", "Objects wherever nginx serves files"): [
        [("www.example.org", "/assets/x.css", 200, b"own")]],
    ("docs/static.md", "In place of root"): [
        [("www.example.org", "/x.css", 200, b"p{}"),
         ("www.example.org", "/none", 404, b"lost")]],
    ("docs/static.md", "A single-page application"): [
        [("www.example.org", "/deep/link", 200, b"app"),
         ("www.example.org", "/assets/a.js", 200, b"js"),
         ("www.example.org", "/assets/none.js", 404, b"404")]],
    ("docs/static.md", "In place of proxy_pass to MinIO"): [
        [("www.example.org", "/media/a.txt", 200, b"media")]],
    ("docs/static.md", "Protected downloads"): [
        [("www.example.org", "/app/x", 200, b"report"),
         ("www.example.org", "/internal/reports/2026.pdf", 404, b"404")],
        [("www.example.org", "/any/private/reports/2026.pdf", 404, b"404")],
        [("www.example.org", f"/download/reports/2026.pdf?md5={LINK}"
          "&expires=4102444800", 200, b"report"),
         ("www.example.org", "/download/reports/2026.pdf", 403, b"403")]],
    ("docs/static.md", "The origin of a CDN"): [
        [("www.example.org", "/x.css", 200, b"p{}")]],
    ("docs/static.md", "Website endpoints"): [
        [("site.s3-website.example.org", "/", 404,
          b"NoSuchWebsiteConfiguration")]],
    ("docs/how-to.md", "Serve a site with TLS"): [
        [("www.example.org", "/x.css", 301, b"301")]],
    ("docs/how-to.md", "Limit access by address, or to a CDN"): [
        [("s3.example.org", "/site/x.css", 403, DENIED)],
        [("www.example.org", "/x.css", 403, b"403 Forbidden")]],
    ("docs/console.md", "The console"): [
        [("console.example.org", "/_console/", 200, b"<html"),
         ("console.example.org", "/site/x.css", 403, DENIED),
         ("console.example.org", "/_console/status", 403, b"403")]],
    ("docs/monitoring.md", "Metrics"): [
        [("www.example.org", "/s3_status", 403, b"403 Forbidden")]],
    ("conf/examples/five-lines.conf", ""): [
        [("s3.example.org", "/site/x.css", 403, DENIED),
         ("www.example.org", "/media/a.txt", 200, b"media")]],
    ("conf/examples/root.conf", ""): [
        [("www.example.org", "/", 200, b"home"),
         ("www.example.org", "/app/deep/link", 200, b"app"),
         ("www.example.org", "/downloads/", 200, b"one"),
         ("www.example.org", "/none", 404, b"lost")]],
    ("conf/examples/minio.conf", ""): [
        [("www.example.org", "/media/a.txt", 200, b"media"),
         ("site.s3.example.org", "/x.css", 403, DENIED)]],
}


def blocks(document, language):
    """(heading, text) of the fenced blocks of that language."""
    heading, found = "", []
    for part in re.split(r"^(#+ [^\n]*|```\w*\n.*?^```)$",
                         (TOP / document).read_text(), flags=re.M | re.S):
        if part.startswith("#"):
            heading = part.lstrip("# ")
        elif part.startswith(f"```{language}\n"):
            found.append((heading, part[len(language) + 4:-3]))
    return found


def documented():
    for document in ("README.md", "docs/drop-in.md", "docs/static.md",
                     "docs/how-to.md", "docs/monitoring.md", "docs/console.md"):
        count = {}
        for heading, text in blocks(document, "nginx"):
            number = count[heading] = count.get(heading, -1) + 1
            yield document, heading, number, text
    for path in sorted((TOP / "conf/examples").glob("*.conf")):
        yield str(path.relative_to(TOP)), "", 0, path.read_text()


def whole(text):
    """A block as a whole nginx.conf."""
    if not re.search(r"^http \{", text, re.M):
        if not re.search(r"^server \{", text, re.M):
            text = f"server {{\n{text}}}\n"
        text = ("load_module modules/ngx_http_s3_module.so;\n"
                "http {\n    upstream s3d "
                "{ server unix:/run/s3d/s3d.sock; keepalive 32; }\n"
                f"{text}}}\n")
    code = re.sub("#.*", "", text)
    text += "}" * (code.count("{") - code.count("}"))
    return text if "events {" in text else text + "\nevents {}\n"


class Place:
    """A block made to run below a directory."""

    def __init__(self, stack, directory, certificate, text):
        self.directory = directory
        self.ports = {}
        self.plain = None  # the port of the first server without TLS
        self.tls = None
        self.path = directory / "nginx.conf"
        self.path.write_text(self.localized(stack, certificate, whole(text)))

    def port(self, name):
        return self.ports.setdefault(name, free_port())

    def listen(self, match):
        tls = " ssl" in match[2]
        self.tls = self.tls or (self.port(match[1]) if tls else None)
        self.plain = self.plain or (None if tls else self.port(match[1]))
        return f"listen 127.0.0.1:{self.port(match[1])}{match[2]};"

    def add_listen(self, text):
        """Servers that have none get ports of their own; the second is what
        the first is an edge of."""
        parts = re.split(r"^( *server \{)", text, flags=re.M)
        names = iter(("first", "origin"))
        for i in range(1, len(parts), 2):
            if "listen " not in parts[i + 1]:
                parts[i] += f" listen {next(names)};"
        return "".join(parts)

    def localized(self, stack, certificate, text):
        text = self.add_listen(text)
        text = re.sub(r"\blisten (\w+)([^;]*);", self.listen, text)
        for old, new in (
                ("modules/ngx_http_s3_module.so",
                 f"{BUILD}/ngx_http_s3_module.so"),
                ("unix:/run/s3d/s3d.sock", f"unix:{stack.socket_path}"),
                ("/var/cache/nginx", f"{self.directory}/cache")):
            text = text.replace(old, str(new))
        text = re.sub(r"/etc/ssl/\w+\.(pem|key)", str(certificate), text)
        text = re.sub(r"http://(origin|app)\b", lambda match: (
            f"http://127.0.0.1:{self.port(match[1])}"), text)
        return (f"user root;\ndaemon off;\npid {self.directory}/pid;\n"
                f"error_log {self.directory}/error.log;\n"
                + re.sub(r"^http \{", lambda m: self.http(certificate, text),
                         text, flags=re.M))

    def http(self, certificate, text):
        """What the http block needs beside what it shows."""
        lines = [f"{name}_temp_path {self.directory}/{name};" for name in
                 ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
        lines.append(f"access_log {self.directory}/access.log;")
        lines.append(f"ssl_certificate {certificate};")
        lines.append(f"ssl_certificate_key {certificate};")
        if "s3_zone" not in text:
            lines.append("s3_zone keys:1m;")
        lines.append(
            f"server {{ listen 127.0.0.1:{self.port('app')}; location / {{ "
            "add_header X-Accel-Redirect /internal/reports/2026.pdf; "
            "return 200; } }")
        return "http {\n    " + "\n    ".join(lines)

    def command(self, *words):
        return ["/usr/sbin/nginx", "-p", self.directory, "-c", self.path,
                "-e", self.directory / "error.log", *words]

    @contextlib.contextmanager
    def running(self):
        process = subprocess.Popen(self.command())
        try:
            for port in self.ports.values():
                wait_for(lambda p=port: process.poll() is not None or accepts(
                    socket.AF_INET, ("127.0.0.1", p)), "nginx")
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0

    def ask(self, host, path):
        """The plain server, if it is of that name or there is none with TLS."""
        for port in filter(None, (self.plain, self.tls)):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            if port == self.tls:
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", port, context=ssl._create_unverified_context())
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            result = answer.status, answer.read()
            connection.close()
            if not (host.endswith("s3.example.org") and port == self.plain
                    and self.tls):
                return result
        return result


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "s3.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test",
         "-keyout", path, "-out", f"{path}.crt"], check=True,
        capture_output=True)
    path.write_text(path.read_text() + (
        path.parent / "s3.pem.crt").read_text())
    return path


@pytest.fixture(scope="module")
def filled(stack):
    client = stack.client()
    for bucket, objects in OBJECTS.items():
        client.create_bucket(Bucket=bucket)
        for key, data in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=data)
    return stack


@pytest.mark.parametrize(
    "document, heading, number, text", list(documented()),
    ids=lambda value: value if isinstance(value, str) and "\n" not in value
    else "")
def test_configuration(filled, certificate, tmp_path, document, heading,
                       number, text):
    place = Place(filled, tmp_path, certificate, text)
    done = subprocess.run(place.command("-t"), capture_output=True)
    assert done.returncode == 0, (done.stderr, place.path.read_text())
    asked = ASKS.get((document, heading), [])
    if number >= len(asked):
        return  # is understood, and asked nothing
    with place.running():
        for host, path, status, has in asked[number]:
            got = place.ask(host, path)
            assert got[0] == status and has in got[1], (host, path, got)


def test_every_ask_has_its_block():
    """A heading that was renamed takes its test along."""
    there = {}
    for document, heading, *_ in documented():
        there[document, heading] = there.get((document, heading), 0) + 1
    assert {key: there.get(key, 0) >= len(asked)
            for key, asked in ASKS.items()} == dict.fromkeys(ASKS, True)


def test_import_and_export(stack, run, tmp_path):
    """The commands of the document, one after the other."""
    [(heading, text)] = blocks("docs/drop-in.md", "sh")
    assert heading == "A directory into a bucket, and back"
    for name, data in (("site/index.html", b"home"), ("assets/a.css", b"p{}")):
        path = tmp_path / "www" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    for old, new in (("http://s3.example.org", stack.endpoint),
                     ("AWS_ACCESS_KEY_ID=...",
                      f"AWS_ACCESS_KEY_ID={stack.access_key}"),
                     ("AWS_SECRET_ACCESS_KEY=...",
                      f"AWS_SECRET_ACCESS_KEY={stack.secret_key}"),
                     ("/var/www", f"{tmp_path}/www"),
                     ("/srv/copy", f"{tmp_path}/copy"),
                     ("s3://site", "s3://of-the-document"),
                     ("aws s3 ", f"{TOP}/build/venv/bin/aws s3 "),
                     ("s3ctl ", f"{BUILD}/s3ctl ")):
        assert old in text
        text = text.replace(old, new)
    run("bash", "-eu", "-c", text)
    (tmp_path / "www/assets").rename(tmp_path / "www/site/assets")
    same_tree(tmp_path / "www/site", tmp_path / "copy")
    head = stack.client().head_object(Bucket="of-the-document",
                                      Key="assets/a.css")
    assert (head["ContentType"], head["CacheControl"]) == (
        "text/css", "max-age=3600")
