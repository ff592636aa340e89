"""A client in a thread of its own, for tests that trouble the server."""

import http.client
import random
import threading

from stack import Signer


class Unclear(Exception):
    """Nobody knows whether the request was carried out."""


class Caller(threading.Thread):
    """work() is what it does; what that raises is kept for the test."""

    def __init__(self, stack, number):
        super().__init__()
        self.stack = stack
        self.signer = Signer(stack)
        self.number = number
        self.random = random.Random(number)
        self.connection = None
        self.error = None

    def run(self):
        try:
            self.work()
        except Exception as error:
            self.error = error
            raise

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body); Unclear: no answer, or a 5xx."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.stack.port, timeout=60)
            self.connection.request(method, self.signer.url(method, path),
                                    body, headers or {})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            assert not isinstance(error, TimeoutError)
            self.connection.close()
            self.connection = None
            raise Unclear from error
        if answer.status >= 500:
            raise Unclear
        return answer.status, answer.headers, data
