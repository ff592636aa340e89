"""What the documents say that a program can check: links resolve, here and as
the package installs them; commands of s3ctl, s3d, awscli and curl exist with the
options that are shown; the picture of the folders is the Makefile's."""

import functools
import json
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from stack import BUILD, TOP

DOCUMENTS = [TOP / "README.md", *sorted(TOP.glob("docs/**/*.md")),
             TOP / "tests/BEHAVIOURS.md"]

# --- links ------------------------------------------------------------------
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(text):
    """Without what is code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"^    .*$|`[^`\n]*`", "", text, flags=re.M)


def anchors(text):
    """What GitHub calls the headings."""
    found, seen = set(), {}
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#+ +(.*?)#*$", text, flags=re.M):
        heading = LINK.sub(lambda match: match[0][1:].split("]")[0], heading)
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        name = name.replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        found.add(name + (f"-{seen[name]}" if seen[name] else ""))
    return found


def dead_links(documents):
    for document in documents:
        for link in LINK.findall(prose(document.read_text())):
            if re.match(r"\w+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists():
                yield f"{document}: {link}"
            elif anchor and anchor not in anchors(target.read_text()):
                yield f"{document}: {link}: no such heading"


def test_links():
    assert list(dead_links(DOCUMENTS)) == []


def installed(target):
    """The documents as the package s3d has them, below `target`."""
    for name in (TOP / "debian/s3d.docs").read_text().split():
        for path in TOP.glob(name):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, target / path.name)
    for line in (TOP / "debian/s3d.install").read_text().splitlines():
        name, place = line.split()
        if place.startswith("usr/share/doc/s3d"):
            place = target / place.removeprefix("usr/share/doc/s3d").lstrip("/")
            place.mkdir(exist_ok=True)
            shutil.copy(TOP / name, place)


def test_links_of_the_package(tmp_path):
    installed(tmp_path)
    documents = sorted(tmp_path.rglob("*.md"))
    assert len(documents) == len(DOCUMENTS)
    assert list(dead_links(documents)) == []


def test_dead_links_are_found(tmp_path):
    document = tmp_path / "a.md"
    document.write_text("# It is\n[a](#it-is) [b](#is) [c](b.md) ![d](d.svg)\n"
                        "[e](a.md#it-is) `[f](f.md)` [g](http://g)\n")
    assert [problem.split(": ", 1)[1] for problem in dead_links([document])] == [
        "#is: no such heading", "b.md", "d.svg"]


def test_alerts_have_their_section():
    rules = (TOP / "conf/prometheus/s3d.rules.yml").read_text()
    names = re.findall(r"alert: (\w+)", rules)
    assert len(names) > 10
    assert {name.lower() for name in names} <= anchors(
        (TOP / "docs/runbook.md").read_text())


# --- commands ---------------------------------------------------------------
PROGRAMS = {"s3ctl", "s3d", "aws", "curl"}
# Of s3ctl: named in a sentence as a family, without one of its commands.
FAMILIES = {"user", "policy", "kms key"}


def words_of(text):
    """The words of a shell's first simple command, without what a column
    beside it says of it."""
    lexer = shlex.shlex(re.split(" {3,}", text)[0], posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if word[0] in "|&;<>()":
            break
        words.append(word.strip("[]").replace("]...", ""))
    if words and words[0].endswith("/s3ctl"):
        words[0] = "s3ctl"
    return words


def in_block(lines):
    """Commands at the beginning of lines, with what belongs to them."""
    lines = iter(lines)
    for line in lines:
        line = line.removeprefix("$ ")
        if line.split(" ")[0].split("/")[-1] not in PROGRAMS:
            continue
        while True:
            try:
                if not line.endswith("\\"):
                    yield words_of(line)
                    break
            except ValueError:
                pass  # a quotation goes on
            line = line.removesuffix("\\") + "\n" + next(lines).strip()


def commands():
    """(document, words, whether in a sentence) of every command shown."""
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = [block for language, block in
                  re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
                  if language in ("", "sh")]
        text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        blocks += [re.sub("^    ", "", block, flags=re.M) for block in
                   re.findall(r"(?:^    .*\n)+", text, re.M)]
        for block in blocks:
            for words in in_block(block.splitlines()):
                yield document.name, words, False
        for code in re.findall(r"`([^`\n]+)`", text):
            if code.split(" ")[0].split("/")[-1] in PROGRAMS and " " in code:
                yield document.name, words_of(code), True


def shown(program):
    """[(words, whether in a sentence, document)], each once."""
    found = {(tuple(words), inline): document
             for document, words, inline in commands()
             if words[0] == program and len(words) > 1}
    return sorted((*key, document) for key, document in found.items())


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True,
                          text=True, timeout=60, **options)


def understood(words, directory):
    """Whether s3ctl takes the words; nothing listens where it asks."""
    if words[0] in ("rebuild", "restore"):  # become s3d
        words = [*words, "-c", directory / "no.conf"]
    if words[0] == "purge":  # would run until a signal
        words = [*words, "-c", TOP / "conf/purge.conf"]
        if "--status" not in words:
            words.append("--test")
    done = run(BUILD / "s3ctl", *words, cwd=directory, env={
        "S3D_ADMIN_SOCKET": str(directory / "nothing"), "HOME": str(directory),
        "AWS_ENDPOINT_URL": "no endpoint"})
    return "usage: s3ctl" not in done.stderr


@functools.cache
def usage():
    return (run(BUILD / "s3ctl", "--help").stdout
            + run(BUILD / "s3ctl", "import", "--help").stdout)


def is_named(words):
    """A sentence may name a command without what it is told."""
    options = {word for word in words if word.startswith("-")}
    known = set(re.findall(r"(?<![\w-])--?\w[\w-]*", usage()))
    names = set(re.findall(r"^  ([a-z-]+(?: [a-z-]+(?= |$))*)", usage(), re.M))
    name = " ".join(word for word in words if word not in options)
    return name in names | FAMILIES and options <= known


def test_s3ctl(tmp_path):
    refused = [(document, " ".join(words))
               for words, inline, document in shown("s3ctl")
               if not (inline and is_named(words[1:]))
               and not understood(list(words[1:]), tmp_path)]
    assert refused == []


def test_names_are_looked_for():
    assert is_named(["import", "--dry-run"]) and is_named(["policy"])
    assert not is_named(["scrubs"]) and not is_named(["import", "--try"])
    assert not is_named(["drive"]) and not is_named(["drive", "replace", "N"])


@pytest.mark.parametrize("words, right", [
    ("drive list", True), ("drive list --json", True),
    ("drive replace 3 --yes", True), ("user add NAME", True),
    ("drives list", False), ("drive", False), ("drive replace", False),
    ("drive list --yes", False), ("heal --wait", False),
    ("rebuild", True), ("rebuild --yes", False), ("restore FILE", True),
    ("purge --test", True), ("purge --try", False),
    ("import DIR s3://site", True), ("import --try DIR s3://site", False),
    ("export s3://site DIR", True), ("export s3://site", False),
    ("migrate --from URL s3://a s3://b", True), ("migrate s3://a", False),
])
def test_s3ctl_is_asked(tmp_path, words, right):
    assert understood(words.split(), tmp_path) == right


def test_s3d():
    known = set(re.findall(r"(?<!\S)-\w", run(BUILD / "s3d", "-h").stdout))
    found = shown("s3d")
    assert found
    for words, _, document in found:
        options = {word for word in words if word.startswith("-")}
        assert options <= known, (document, words)


def test_curl():
    options = run("curl", "--help", "all").stdout
    known = set(re.findall(r"^ *(-\w), (--[\w.-]+)|^ +(--[\w.-]+)", options, re.M))
    known = {name for names in known for name in names if name}
    found = shown("curl")
    assert len(known) > 100 and found
    for words, _, document in found:
        for word in words[1:]:
            if re.match(r"--\w", word):
                assert word.split("=")[0] in known, (document, words)
            elif re.match(r"-\w", word):
                assert f"-{word[1]}" in known, (document, words)


AWSCLI_TABLES = """
import json, sys
from awscli.clidriver import create_clidriver
driver = create_clidriver().create_help_command()
services = driver.command_table
tables = {"": ["--" + name for name in driver.arg_table]}
for service, operation in json.load(sys.stdin):
    table = services[service].create_help_command().command_table
    tables[service + " " + operation] = [
        "--" + name for name in table[operation].arg_table]
json.dump(tables, sys.stdout)
"""


def test_awscli():
    found = shown("aws")
    wanted = sorted({words[1:3] for words, _, _ in found if len(words) > 2})
    done = run(sys.executable, "-c", AWSCLI_TABLES, input=json.dumps(wanted))
    assert done.returncode == 0, done.stderr[-1000:]
    tables = json.loads(done.stdout)
    for words, _, document in found:
        known = tables[""] + tables.get(" ".join(words[1:3]), [])
        for word in words:
            assert not word.startswith("--") or word.split("=")[0] in known, (
                document, words)


def test_commands_are_found():
    """The search sees blocks, indented lines and code in sentences."""
    text = "\n".join(" ".join(words) for _, words, _ in commands())
    for known in ("s3ctl export s3://site /srv/copy",
                  "s3ctl purge --test -c /etc/s3d/purge.conf",
                  "s3ctl drive replace N --yes", "aws iam create-user",
                  "aws s3api put-bucket-notification-configuration"):
        assert known in text
    assert len(shown("s3ctl")) > 50


# --- operations -------------------------------------------------------------
# On the wire, and no operation of S3's.
INTERNAL = {"NONE", "PREFLIGHT", "IAM_QUERY", "GET_FILE", "GET_WEBSITE",
            "REFUSED", "NOT_IMPLEMENTED"}


def plain(name):
    """`PUT_BUCKET_NOTIFICATION` is PutBucketNotificationConfiguration."""
    return re.sub("_|bucket|configurations?", "", name.lower())


def test_operations():
    """The page of the S3 API has all that s3d has, and no other."""
    proto = (TOP / "backend/wire/wire.proto").read_text()
    enum = re.search(r"^enum Operation \{(.*?)^\}", proto, re.M | re.S)[1]
    known = set(re.findall(r"^  (\w+) = ", enum, re.M)) - INTERNAL
    page = (TOP / "docs/s3.md").read_text().split("## Answered 501")[0]
    told = [name for row in re.findall(r"^\| ([A-Z][^|]*) \|", page, re.M)
            for name in row.split(", ")]
    assert len(known) > 60 and len(set(told)) == len(told)
    assert {plain(name) for name in told} == {plain(name) for name in known}


# --- pictures ---------------------------------------------------------------
SVG = "{http://www.w3.org/2000/svg}"


def folders_of_makefile():
    text = (TOP / "Makefile").read_text()
    return {name: set(used.split()) - {"gen"} for name, used in
            re.findall(r"^uses\.(\w+) *:=(.*)$", text, re.M)}


def test_folders_point_down():
    """In the picture each folder stands above all that it uses."""
    root = xml.etree.ElementTree.parse(TOP / "docs/pictures/folders.svg")
    height = {}
    for text in root.iter(f"{SVG}text"):
        if "folder" in text.get("class").split():
            height[text.text] = float(text.get("y"))
    uses = folders_of_makefile()
    assert len(height) > 20 and set(height) <= set(uses) | {"ctl"}
    upward = [(user, used) for user in uses for used in uses[user]
              if user in height and used in height
              and height[user] >= height[used]]
    assert upward == []


@pytest.mark.parametrize("picture", sorted(TOP.glob("docs/pictures/*.svg")),
                         ids=lambda path: path.name)
def test_pictures(picture):
    """Well-formed, shown by a page, nothing from elsewhere."""
    text = picture.read_text()
    xml.etree.ElementTree.fromstring(text)
    assert not re.search(r"<script|href|url\(|@import", text)
    assert any(f"pictures/{picture.name})" in document.read_text()
               for document in DOCUMENTS)
