"""The console in Firefox, in short: it signs in, uploads, lists, shows and
downloads. On demand, since it starts slowly, and where there is Firefox."""

import json
import os
import shutil

import pytest
from firefox import Firefox
from stack import pattern, wait_for
from test_console import console  # noqa: F401  (the fixture: a server)

pytestmark = pytest.mark.skipif(
    not os.environ.get("S3D_LONG_RUN") or not shutil.which("firefox-esr"),
    reason="S3D_LONG_RUN=1 and firefox-esr")
BIG = pattern((17 << 20) + 5)


def test_firefox(console, tmp_path):  # noqa: F811
    firefox = Firefox(tmp_path)

    def until(expression):
        wait_for(lambda: firefox.evaluate(expression), expression)

    def press(label):
        found = (f"[...document.querySelectorAll('button, a')].find("
                 f"e => e.textContent === {json.dumps(label)})")
        until(f"!!{found}")
        firefox.evaluate(f"{found}.click()")

    console.client().create_bucket(Bucket="fox")
    firefox.goto(console.url)
    until("!!document.querySelector('form')")
    firefox.evaluate(f"""(form => {{
        form.elements.access.value = {json.dumps(console.access_key)};
        form.elements.secret.value = {json.dumps(console.secret_key)};
        form.requestSubmit();
    }})(document.querySelector("form"))""")
    until("document.body.innerText.includes('Requests per second')")
    firefox.evaluate("location.hash = '#/objects/fox/'")
    until("document.body.innerText.includes('Nothing here')")
    (tmp_path / "big.bin").write_bytes(BIG)
    (tmp_path / "a b#?%é.txt").write_text("sunny\n")
    firefox.choose_files("#files", [tmp_path / "big.bin",
                                    tmp_path / "a b#?%é.txt"])
    until("document.querySelectorAll('.objects tbody tr').length === 2")
    assert console.client().get_object(Bucket="fox", Key="big.bin")[
        "Body"].read() == BIG
    press("a b#?%é.txt")
    until("document.querySelector('pre.preview')?.innerText === 'sunny\\n'")
    firefox.evaluate("document.querySelector('dialog').close()")
    press("big.bin")
    until("document.body.innerText.includes('No preview')")
    press("Download")
    wait_for(lambda: (firefox.downloads / "big.bin").exists()
             and (firefox.downloads / "big.bin").stat().st_size == len(BIG),
             "the download")
    assert (firefox.downloads / "big.bin").read_bytes() == BIG
    firefox.close()
