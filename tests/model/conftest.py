"""One server for all histories: with extensions, and logs when it ends."""

import pytest
from stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    server = Stack(tmp_path_factory.mktemp("stack"), s3d_extra="""\
extensions = true;
logging_interval = "1h";
""").start()
    yield server
    server.stop()
    server.check_logs()
