"""What the conformance tests share: exact refusals, and requests that no SDK
would send."""

import datetime
import http.client
import re
import ssl
import urllib.parse

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

MIN_PART = 5 << 20


def refused(call, **arguments):
    """(status, code) of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def status_of(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Answer:
    """A reply: status, headers without case, body, and its XML by element."""

    def __init__(self, reply, body):
        self.status = reply.status
        self.headers = reply.headers
        self.body = body

    def texts(self, element):
        """The texts of all elements of a name, as they stand in the XML."""
        found = re.findall(f"<{element}>([^<]*)</{element}>",
                           self.body.decode())
        return found

    def text(self, element):
        found = self.texts(element)
        return found[0] if found else None

    @property
    def error(self):
        """(status, code); an error always has a message and ids."""
        if self.status >= 400 and self.body:
            assert self.text("Message")
            assert self.text("RequestId") == self.headers["x-amz-request-id"]
        return self.status, self.text("Code")


class Raw:
    """Signed requests whose target, headers and body are taken as given."""

    def __init__(self, stack):
        self.stack = stack
        self.signer = S3SigV4Auth(
            Credentials(stack.access_key, stack.secret_key), "s3", "us-east-1")
        self.context = (ssl.create_default_context(cafile=stack.certificate)
                        if stack.tls else None)

    def connect(self):
        if self.stack.tls:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.stack.port, timeout=60, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.stack.port,
                                          timeout=60)

    def request(self, method, target, body=b"", headers=None, sign=True):
        headers = dict(headers or {})
        if sign:
            headers = self._signed(method, target, body, headers)
        connection = self.connect()
        connection.putrequest(method, target, skip_accept_encoding=True)
        if body or method in ("PUT", "POST"):
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        reply = connection.getresponse()
        answer = Answer(reply, reply.read())
        connection.close()
        return answer

    def _signed(self, method, target, body, headers):
        request = AWSRequest(method, self.stack.endpoint + target,
                             headers=headers, data=body)
        request.context["payload_signing_enabled"] = True
        self.signer.add_auth(request)
        return {name: value for name, value in request.headers.items()
                if name.lower() != "host"}

    def __getattr__(self, method):
        def call(target, body=b"", **headers):
            names = {name.replace("_", "-"): value
                     for name, value in headers.items()}
            return self.request(method.upper(), target, body, names)
        return call


def quote(text):
    return urllib.parse.quote(text, safe="~")
