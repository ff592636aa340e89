"""s3d's policy evaluator against a naive one (policy_reference.py).

Both answer the table of cases; then both answer questions that are made up.
Budget: S3D_POLICY_CASES (4000) questions; S3D_SEED replays them.
"""

import json
import os
import random
import subprocess
import urllib.parse
from pathlib import Path

import policy_reference as reference
import pytest

TOP = Path(__file__).parents[2]
CASES = TOP / "tests/unit/policy_cases.txt"
ONE, TWO = "111122223333", "444455556666"


def caller(arn="", role="", account="", canonical="", federated=""):
    return {"arn": arn, "role_arn": role, "account": account,
            "canonical": canonical, "federated": federated,
            "anonymous": not account and not federated}


def of_account(account, canonical, path, role=""):
    service = "sts" if role else "iam"
    return caller(f"arn:aws:{service}::{account}:{path}", role, account,
                  canonical * 64)


CALLERS = {
    "anonymous": caller(),
    "root": of_account(ONE, "1", "root"),
    "alice": of_account(ONE, "1", "user/alice"),
    "bob": of_account(ONE, "1", "user/staff/bob"),
    "worker": of_account(ONE, "1", "assumed-role/worker/night",
                         f"arn:aws:iam::{ONE}:role/worker"),
    "carol": of_account(TWO, "2", "user/carol"),
    "otherroot": of_account(TWO, "2", "root"),
    "otherworker": of_account(TWO, "2", "assumed-role/worker/night",
                              f"arn:aws:iam::{TWO}:role/worker"),
    "oidc": caller(federated=f"arn:aws:iam::{ONE}:oidc-provider/id.example.com"),
}


def unescape(text):
    raw = urllib.parse.unquote_to_bytes(text)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def parse_request(words):
    name = "alice"
    if words[0].startswith("@"):
        name = words.pop(0)[1:]
    context = [tuple(unescape(part) for part in word.split("=", 1))
               for word in words[2:]]
    return {"caller": CALLERS[name], "action": words[0],
            "resource": unescape(words[1]), "context": context}


def table():
    """(line, document, expected, request) of the cases of one document."""
    document = None
    for number, line in enumerate(CASES.read_text().splitlines(), 1):
        word, _, rest = line.partition(" ")
        kind = word.rstrip("+").removesuffix("-2008")
        if kind in ("identity", "session", "bucket", "trust"):
            version = "2008-10-17" if "2008" in word else "2012-10-17"
            document = f'{{"Version":"{version}","Statement":[{rest}]}}'
        elif word in ("allow", "deny", "none"):
            yield number, document, word, parse_request(rest.split())


def test_the_reference_agrees_with_the_table():
    count = 0
    for number, document, expected, request in table():
        assert reference.evaluate(document, request) == expected, (
            f"{CASES}:{number}")
        count += 1
    assert count > 300


# --- made-up questions ----------------------------------------------------------

WORDS = ["", "a", "b", "ab", "a*b", "alice", "x?", "10", "9.5", "-3", "true",
         "False", "2020-02-29T12:00:00Z", "2020-02-29", "1000000000",
         "10.0.0.1", "10.200.0.1", "192.0.2.7", "2001:db8::1",
         "::ffff:10.0.0.9", "arn:aws:iam::1:user/a", "arn:aws:sns:r:2:t:x"]
KEYS = ["aws:username", "aws:UserAgent", "aws:Referer", "aws:TagKeys",
        "s3:ExistingObjectTag/k"]
OPERANDS = {
    "String": ["", "a", "AB", "a*", "*b", "x?", "${aws:username}", "${*}",
               "${aws:userid, 'a'}", "alice", "a${aws:username}b*"],
    "Numeric": ["10", "9.5", "-3", "1000000000"],
    "Date": ["2020-02-29T12:00:00Z", "2020-02-29", "1000000000"],
    "Ip": ["10.0.0.0/8", "10.128.0.0/9", "192.0.2.7", "2001:db8::/32",
           "0.0.0.0/0", "::ffff:10.0.0.0/112"],
    "Arn": ["*", "arn:aws:iam::1:user/*", "arn:aws:*:*:*:t*",
            "arn:aws:iam::1:user/${aws:username}", "arn:*:sns:r:?:t:x"],
    "Bool": ["true", "false"],
}
OPERATORS = (
    ["String" + name for name in ("Equals", "NotEquals", "EqualsIgnoreCase",
                                  "NotEqualsIgnoreCase", "Like", "NotLike")]
    + [kind + name for kind in ("Numeric", "Date")
       for name in ("Equals", "NotEquals", "LessThan", "LessThanEquals",
                    "GreaterThan", "GreaterThanEquals")]
    + ["IpAddress", "NotIpAddress", "Bool", "ArnEquals", "ArnNotLike"])
ACTIONS = ["s3:*", "s3:Get*", "S3:getobject", "s3:?etObject", "*", "s3:*Object"]
RESOURCES = ["arn:aws:s3:::b*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a*b*c",
             "arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/?é?",
             "arn:aws:s3:::b/${aws:userid, 'a'}?*"]
PRINCIPALS = ["*", {"AWS": "*"}, {"AWS": ONE}, {"CanonicalUser": "2" * 64},
              {"AWS": [f"arn:aws:iam::{TWO}:root",
                       f"arn:aws:iam::{ONE}:user/alice"]},
              {"AWS": f"arn:aws:iam::{ONE}:role/worker"},
              {"AWS": f"arn:aws:sts::{ONE}:assumed-role/worker/night"}]
ASKED = ["s3:GetObject", "s3:PutObject", "s3:DeleteObjectVersion"]
ABOUT = ["b", "b/a", "b/abc", "b/aXbYc", "b/alice/k", "b/aéb", "b/ab/k", "b/ax"]


def some(rng, choices):
    picked = rng.sample(choices, rng.randint(1, min(3, len(choices))))
    return picked[0] if len(picked) == 1 else picked


def make_condition(rng):
    conditions = {}
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        operator = rng.choice(OPERATORS + ["Null"])
        kind = next((kind for kind in OPERANDS if kind in operator), "Bool")
        name = operator
        if operator != "Null":
            name = (rng.choice(["", "", "ForAllValues:", "ForAnyValue:"])
                    + operator + rng.choice(["", "", "IfExists"]))
        conditions[name] = {rng.choice(KEYS): some(rng, OPERANDS[kind])}
    return conditions


def negate(rng, name):
    return "Not" + name if rng.random() < 0.2 else name


def make_statement(rng, kind):
    statement = {"Effect": rng.choice(["Allow", "Allow", "Deny"]),
                 negate(rng, "Action"): some(rng, ACTIONS),
                 negate(rng, "Resource"): some(rng, RESOURCES),
                 "Condition": make_condition(rng)}
    if kind == "bucket":
        statement[negate(rng, "Principal")] = rng.choice(PRINCIPALS)
        # Every action is to fit a resource.
        resource = "Resource" if "Resource" in statement else "NotResource"
        statement[resource] = listed(statement[resource]) + RESOURCES[:1]
    return statement


def listed(value):
    return reference.listed(value)


def make_request(rng):
    words = ["@" + rng.choice([name for name in CALLERS if name != "oidc"]),
             rng.choice(ASKED), "arn:aws:s3:::" + rng.choice(ABOUT)]
    for key in KEYS + KEYS[:1] + KEYS[3:4] * 2:
        if rng.random() < 0.4:
            words.append(f"{key}={rng.choice(WORDS)}")
    quoted = [urllib.parse.quote(word, safe="@:/=+*?'") for word in words]
    return " ".join(quoted)


def compare(tmp_path, seed, count):
    rng = random.Random(seed)
    answers = {"allow": 0, "deny": 0, "none": 0}
    lines = [f"# seed {seed}"]
    while sum(answers.values()) < count:
        kind = rng.choice(["identity", "bucket"])
        statements = [make_statement(rng, kind)
                      for _ in range(rng.randint(1, 3))]
        version = rng.choice(["2012-10-17", "2012-10-17", "2008-10-17"])
        text = ",".join(json.dumps(one, ensure_ascii=False)
                        for one in statements)
        document = f'{{"Version":"{version}","Statement":[{text}]}}'
        suffix = "-2008" if version.startswith("2008") else ""
        lines.append(f"{kind}{suffix} {text}")
        for _ in range(8):
            request = make_request(rng)
            answer = reference.evaluate(document, parse_request(request.split()))
            answers[answer] += 1
            lines.append(f"{answer} {request}")
    path = tmp_path / "cases.txt"
    path.write_text("\n".join(lines) + "\n")
    run(path)
    assert min(answers.values()) > count / 20, answers


def run(path):
    program = TOP / os.environ.get("S3D_BUILD", "build/release")
    program /= "unit/policy_cases_test"
    done = subprocess.run([program, path], cwd=TOP, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


@pytest.fixture(scope="module", autouse=True)
def built():
    build = os.environ.get("S3D_BUILD", "build/release")
    subprocess.run(["make", "-s", f"VARIANT={Path(build).name}",
                    f"{build}/unit/policy_cases_test"], cwd=TOP, check=True)


def test_made_up_questions_get_the_same_answer(tmp_path):
    seed = int(os.environ.get("S3D_SEED", random.randrange(2**32)))
    print(f"S3D_SEED={seed}")
    compare(tmp_path, seed, int(os.environ.get("S3D_POLICY_CASES", "4000")))


def test_a_wrong_answer_is_noticed(tmp_path):
    path = tmp_path / "cases.txt"
    path.write_text('identity {"Effect":"Allow","Action":"s3:*","Resource":"*"}\n'
                    "none s3:GetObject arn:aws:s3:::b/k\n")
    with pytest.raises(AssertionError, match="expected none, got allow"):
        run(path)
