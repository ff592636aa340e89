"""Fixtures: a server for a whole module, or a fresh one for each test."""

import sys

import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from stack import Stack  # noqa: E402


@pytest.fixture(scope="module")
def stack(request, tmp_path_factory):
    # The whole API is seen through TLS, too, where nginx has no sendfile.
    tls = request.module.__name__.startswith("test_conformance_")
    server = Stack(tmp_path_factory.mktemp("stack"), tls=tls).start()
    yield server
    server.stop()
    server.check_logs()


@pytest.fixture
def fresh_stack(tmp_path):
    """Not started: the test decides on drives and options first."""
    servers = []

    def make(**options):
        server = Stack(tmp_path / f"stack{len(servers)}", **options)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()
        server.check_logs()


@pytest.fixture
def bucket(stack, request):
    """A bucket of the test's own, left full: the server goes away with it."""
    name = request.node.name.lower().replace("_", "-").replace("[", "-")
    name = "".join(c for c in name if c.isalnum() or c == "-").strip("-")[:60]
    stack.client().create_bucket(Bucket=name)
    return name
