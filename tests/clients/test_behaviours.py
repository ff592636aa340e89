"""What tests/BEHAVIOURS.md names is there, and it leaves no number out."""

import re

from stack import TOP

TEXT = (TOP / "tests/BEHAVIOURS.md").read_text()


def path_of(name):
    if name.startswith("tests/"):
        return TOP / name
    if name.startswith("unit/"):
        return TOP / f"tests/{name}_test.c"
    if name.startswith("conformance_"):
        return TOP / f"tests/clients/test_{name}.py"
    return TOP / "tests/t" / name


def test_every_test_is_there():
    rows = [line for line in TEXT.splitlines() if re.match(r"\| \d", line)]
    for row in rows:
        for name in re.findall(r"`([^`]+)`", row.split("|")[3]):
            name, _, function = name.partition("::")
            source = path_of(name).read_text()
            assert not function or f"def {function}(" in source, name


def test_every_number_is_there():
    firsts = re.findall(r"^\| ([\d, ]+) \|", TEXT, re.MULTILINE)
    assert [int(n) for cell in firsts for n in cell.split(",")] == list(
        range(1, 73))
