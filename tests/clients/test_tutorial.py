"""docs/tutorial.md, line by line: what `make run` starts, and every command of
the document typed into one shell, its output compared with what is shown.

A ```sh block is typed. The ```text block behind it is what it prints; without
one it prints nothing. `...` stands for what varies: any characters of a line,
or, alone in its line, any lines.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest
from redis_server import INSTALLED
from stack import BUILD, TOP, Stack, accepts, wait_for

TUTORIAL = TOP / "docs/tutorial.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?",
                   re.M | re.S)


def typed():
    """(commands, what they print) of each block."""
    return BLOCK.findall(TUTORIAL.read_text())


def pattern(shown):
    """The regular expression of what a block shows."""
    lines = []
    for line in shown.splitlines():
        if line == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*".join(map(re.escape, line.split("..."))) + r"\n")
    return "".join(lines)


def on_terminal(output):
    """A carriage return draws over what is there."""
    return "".join(line.split("\r")[-1].rstrip(" ") + "\n"
                   for line in output.split("\n")[:-1])


class Running(Stack):
    """What `make run` starts, below `directory`/s3d-data."""

    def __init__(self, directory):
        super().__init__(directory)
        self.data = self.directory / "s3d-data"
        self.process = None

    def start(self):
        (self.directory / "build").mkdir()
        (self.directory / "build/release").symlink_to(BUILD)
        self.process = subprocess.Popen(
            [TOP / "tools/run"], cwd=self.directory,
            stdout=open(self.directory / "run.out", "wb"),
            env=dict(os.environ, PORT=str(self.port), BUILD=str(BUILD)))
        wait_for(self._up, "tools/run")
        return self

    def _up(self):
        assert self.process.poll() is None, "tools/run has ended"
        return accepts(socket.AF_INET, ("127.0.0.1", self.port))

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=60) == 0

    def logs(self):
        return sorted((self.data / "log").glob("*.log"))

    def type(self, blocks):
        """What each block prints and whether a command of it failed, in a
        shell that starts beside README.md. The port is this test's own, and
        not seen."""
        outputs = [self.directory / f"{i}.out" for i in range(len(blocks))]
        script = "".join(
            f"exec > {output} 2>&1 < /dev/null\n"
            f"trap 'touch {output}.failed' ERR\n{block}"
            for output, block in zip(outputs, blocks))
        path = pathlib.Path(sys.executable).parent
        done = subprocess.run(
            ["bash", "-c", script.replace(":9000", f":{self.port}")],
            cwd=self.directory, timeout=240,
            env={"PATH": f"{path}:{os.environ['PATH']}", "LANG": "C.UTF-8",
                 "HOME": str(self.directory), "TMPDIR": str(self.directory)})
        assert done.returncode == 0
        return [(on_terminal(output.read_bytes().decode()).replace(
            f":{self.port}", ":9000"), pathlib.Path(f"{output}.failed").exists())
                for output in outputs]


def test_help(tmp_path):
    """Who asks how to use it gets no server."""
    for words, status, said in ((["--help"], 0, b"PORT    of the S3"),
                                (["start"], 2, b"tools/run --help")):
        done = subprocess.run([TOP / "tools/run", *words], cwd=tmp_path,
                              capture_output=True, timeout=60)
        assert done.returncode == status
        assert said in (done.stderr if status else done.stdout)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not INSTALLED, reason="redis-server is not installed")
def test_tutorial(tmp_path):
    blocks = typed()
    running = Running(tmp_path)
    try:
        running.start()
        printed = running.type([commands for commands, _ in blocks])
    finally:
        running.stop()
    other = [f"{commands}--- printed\n{output}--- and not\n{shown}"
             for (commands, shown), (output, failed) in zip(blocks, printed)
             if not re.fullmatch(pattern(shown), output)
             or failed != ("An error occurred" in shown)]
    assert not other, "\n".join(other)
    running.check_logs()


def test_every_command_is_typed():
    """No block escapes by the way it is fenced."""
    text = TUTORIAL.read_text()
    assert len(typed()) == text.count("```sh\n") > 8
    assert sum(shown != "" for _, shown in typed()) == text.count("```text\n")


@pytest.mark.parametrize("shown, output, same", [
    ("a\n", "a\n", True),
    ("a\n", "b\n", False),
    ("a\n", "", False),
    ("", "a\n", False),
    ("", "", True),
    ("a ... c\n", "a b c\n", True),
    ("a ... c\n", "a b d\n", False),
    ("a ... c\n", "a\nb c\n", False),
    ("a\n...\nc\n", "a\nb\nb\nc\n", True),
    ("a\n...\nc\n", "a\nc\n", True),
    ("a\n...\nc\n", "a\nb\n", False),
    ("a.c\n", "abc\n", False),
])
def test_differences_are_seen(shown, output, same):
    assert bool(re.fullmatch(pattern(shown), output)) == same


def test_what_a_terminal_shows():
    assert on_terminal("1 of 2\r2 of 2\rdone    \nnext\n") == "done\nnext\n"
