"""The metrics, read by Prometheus's own parser: requests are counted exactly,
and what dashboard, alerts and documents name is there."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stack import TOP, Stack, wait_for

RULES = yaml.safe_load((TOP / "conf/prometheus/s3d.rules.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
RULES_TEST = TOP / "conf/prometheus/s3d.rules.test.yml"
BOARD = json.loads((TOP / "conf/grafana/s3d.json").read_text())
RUNBOOK = (TOP / "docs/runbook.md").read_text()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(
        tmp_path_factory.mktemp("metrics"),
        location_extra="} location = /status { s3_status s3d;",
        # Nobody listens there: its metrics are shown all the same.
        s3d_extra='events = { targets = ( { name = "t"; '
                  'redis = "unix:/nowhere"; key = "k"; } ); };')
    stack.start()
    # Only of who has a quota is there a share of it.
    stack.client().create_bucket(Bucket="limited")
    for whose in (["limited"], ["--account", "root"]):
        stack.ctl("quota", "set", *whose, "--bytes", "1G", "--objects", "1K")
    stack.client().put_object(Bucket="limited", Key="k", Body=b"x")
    yield stack
    stack.stop()
    stack.check_logs()


def scrape(stack):
    """{(name, labels): value} of all samples, and {name: type} of families."""
    with urllib.request.urlopen(f"{stack.endpoint}/status") as answer:
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    samples = {}
    for family in families:
        assert family.documentation.endswith("."), family.name
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
    return samples, {family.name: family.type for family in families}


def requests(samples):
    return {(dict(labels)["operation"], dict(labels)["code"]): value
            for (name, labels), value in samples.items()
            if name == "s3_requests_total"}


def test_counts(stack):
    s3 = stack.client()
    before = requests(scrape(stack)[0])
    s3.create_bucket(Bucket="bkt")
    for i in range(7):
        s3.put_object(Bucket="bkt", Key=f"k{i}", Body=b"x" * i)
    for i in range(3):
        assert s3.get_object(Bucket="bkt", Key="k6")["Body"].read() == b"x" * 6
    s3.head_object(Bucket="bkt", Key="k1")
    for _ in range(2):
        with pytest.raises(s3.exceptions.NoSuchKey):
            s3.get_object(Bucket="bkt", Key="none")
    s3.list_objects_v2(Bucket="bkt")
    s3.delete_objects(Bucket="bkt", Delete={"Objects": [{"Key": "k0"}]})
    s3.delete_object(Bucket="bkt", Key="k1")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{stack.endpoint}/bkt/k6")
    wait_for(lambda: ("GetObject", "403") in requests(scrape(stack)[0]),
             "the last is counted")
    after = requests(scrape(stack)[0])
    assert {key: value - before.get(key, 0) for key, value in after.items()
            if value != before.get(key, 0)} == {
        ("CreateBucket", "200"): 1,
        ("PutObject", "200"): 7,
        ("GetObject", "200"): 3,
        ("GetObject", "403"): 1,
        ("GetObject", "404"): 2,
        ("HeadObject", "200"): 1,
        ("ListObjectsV2", "200"): 1,
        ("DeleteObjects", "200"): 1,
        ("DeleteObject", "204"): 1,
    }


def test_histograms(stack):
    samples, types = scrape(stack)
    assert types["s3_request_duration_seconds"] == "histogram"
    total = 0
    for labels in {labels for name, labels in samples
                   if name == "s3_request_duration_seconds_count"}:
        buckets = sorted(
            (float(dict(other)["le"]), value)
            for (name, other), value in samples.items()
            if name == "s3_request_duration_seconds_bucket"
            and labels < other)
        counts = [count for _, count in buckets]
        assert buckets[-1][0] == float("inf") and counts == sorted(counts)
        count = samples["s3_request_duration_seconds_count", labels]
        assert counts[-1] == count
        assert samples["s3_request_duration_seconds_sum", labels] > 0
        total += count
    assert total == sum(requests(samples).values())


def test_names(stack):
    """As Prometheus's conventions have them; few series."""
    samples, types = scrape(stack)
    assert len(samples) < 1000
    for name, kind in types.items():
        assert re.fullmatch(r"s3d?_[a-z][a-z0-9_]*", name)
        assert not re.search(r"_(ms|us|milliseconds|kb|mb)$", name)
    counters = {name for (name, _) in samples if name.endswith("_total")}
    assert {name[:-6] for name in counters} == {
        name for name, kind in types.items() if kind == "counter"}


def named(expression):
    """Metrics in an expression; what is in quotes is none."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\bs3d?_[a-z0-9_]+", bare))


def expressions():
    for rule in ALERTS:
        yield f"alert {rule['alert']}", rule["expr"]
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for annotation in BOARD["annotations"]["list"]:
        yield "annotation", annotation["expr"]
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield "variable", variable["query"]["query"]
    # Of the table, `a`, `b` and `c{label}`.
    for line in (TOP / "docs/monitoring.md").read_text().splitlines():
        if line.startswith("| `"):
            yield "docs/monitoring.md", line.split("|")[1]


def test_all_that_is_named_exists(stack):
    there = {name for name, _ in scrape(stack)[0]}
    families = set(scrape(stack)[1])
    seen = set()
    for where, expression in expressions():
        names = named(expression)
        assert names, f"{where}: {expression}"
        for name in names:
            assert name in there | families, f"{where}: {name}"
        seen |= names
    assert len(seen) > 50


def test_board():
    """Panels have ids and places of their own, and the datasource that is chosen."""
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 20
    taken = [(place["x"] + x, place["y"] + y)
             for place in (panel["gridPos"] for panel in panels)
             for x in range(place["w"]) for y in range(place["h"])]
    assert len(taken) == len(set(taken)) and max(taken)[0] < 24
    variables = {variable["name"] for variable in BOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(BOARD))) <= variables
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references) > 0, panel["title"]


def test_runbook():
    """A section for each alert, and no other; each says the three things. What
    an alert names is where the package s3d puts it."""
    assert "docs" in (TOP / "debian/s3d.docs").read_text().split()
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", RUNBOOK,
                               re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        name = rule["alert"]
        assert (rule["annotations"]["runbook_url"]
                == "file:///usr/share/doc/s3d/docs/runbook.md#" + name.lower())
        assert rule["labels"]["severity"] in ("page", "ticket")
        for word in ("**Means.**", "**Look at**", "**Do"):
            assert word in sections[name], f"{name}: {word}"


def test_alerts():
    """Each has a case in which it fires, and one in which it does not."""
    fires, rests = set(), set()
    for test in yaml.safe_load(RULES_TEST.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            (fires if case["exp_alerts"] else rests).add(case["alertname"])
    assert fires == rests == {rule["alert"] for rule in ALERTS}


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
def test_alerts_by_promtool():
    subprocess.run(["promtool", "test", "rules", RULES_TEST], check=True)
