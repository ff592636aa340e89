#!/usr/bin/env python3
"""A Vault with a transit engine, as far as s3d asks it: for tests only.

    fake_vault.py [--cert FILE --key FILE]

Listens on 127.0.0.1, prints its port, and serves until its standard input is
closed. The token is "s.test-token", the mount "transit"; there is a key
"master" of the type aes256-gcm96, and "signing", of rsa-2048. The seal is a
toy, but it fails as Vault's does: with other associated data, another key, a
changed byte.

POST /test with a JSON object changes how it behaves and answers what it has
been asked so far: {"asked": N, "connections": N}.
    {"mode": "ok" | "sealed" | "silent" | "garbage" | "huge" | "redirect" |
             "other" | "cut"}
    {"rotate": NAME}, {"retire": NAME} (the oldest version), {"token": TOKEN}
    {"plaintexts": true} (all that were encrypted, base64)
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    def __init__(self, status, *errors):
        super().__init__(status)
        self.status, self.errors = status, list(errors)


class Key:
    def __init__(self, kind):
        self.kind = kind
        self.versions = [os.urandom(32)]
        self.oldest = 1

    def seal(self, plain, data):
        key, nonce = self.versions[-1], os.urandom(12)
        body = xor(plain, stream(key, nonce, len(plain)))
        tag = digest(key, nonce + body + data)
        text = base64.b64encode(nonce + body + tag).decode()
        return f"vault:v{len(self.versions)}:{text}"

    def open(self, ciphertext, data):
        try:
            head, version, text = ciphertext.split(":")
            number, raw = int(version[1:]), base64.b64decode(text, validate=True)
        except ValueError:
            raise Refused(400, "invalid ciphertext: could not decode") from None
        if head != "vault" or not 1 <= number <= len(self.versions):
            raise Refused(400, "invalid ciphertext: unknown version")
        if number < self.oldest:
            raise Refused(400, "ciphertext or signature version is "
                               "disallowed by policy (too old)")
        key = self.versions[number - 1]
        nonce, body, tag = raw[:12], raw[12:-32], raw[-32:]
        if not hmac.compare_digest(tag, digest(key, nonce + body + data)):
            raise Refused(400, "cipher: message authentication failed")
        return xor(body, stream(key, nonce, len(body)))


def digest(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def stream(key, nonce, size):
    return hashlib.shake_256(key + nonce).digest(size)


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


class State:
    def __init__(self):
        self.keys = {"master": Key("aes256-gcm96"), "signing": Key("rsa-2048")}
        self.token = "s.test-token"
        self.mode = "ok"
        self.asked = self.connections = 0
        self.plaintexts = []
        self.lock = threading.Lock()
        self.leaving = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.state = self.server.state
        with self.state.lock:
            self.state.connections += 1

    def log_message(self, *_):
        pass

    def body(self):
        size = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(size) or b"{}")

    def answer(self, status, value, **headers):
        self.send(status, json.dumps(value).encode(), **headers)

    def send(self, status, data, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    # --- the engine
    def key(self, name, missing):
        if name not in self.state.keys:
            raise missing
        return self.state.keys[name]

    def associated(self, key, question):
        if "associated_data" in question and key.kind == "rsa-2048":
            raise Refused(400, "associated_data is not supported")
        return base64.b64decode(question.get("associated_data", ""), validate=True)

    def engine(self, verb, name, question):
        if verb == "keys" and self.command == "GET":
            key = self.key(name, Refused(404))
            return {"name": name, "type": key.kind,
                    "latest_version": len(key.versions)}
        if verb == "encrypt" and self.command == "POST":
            # Without the capability "create", as docs/encryption.md says.
            key = self.key(name, Refused(403, "permission denied"))
            plain = base64.b64decode(question["plaintext"], validate=True)
            self.state.plaintexts.append(question["plaintext"])
            return {"ciphertext": key.seal(plain, self.associated(key, question)),
                    "key_version": len(key.versions)}
        if verb == "decrypt" and self.command == "POST":
            key = self.key(name, Refused(400, "encryption key not found"))
            plain = key.open(question["ciphertext"],
                             self.associated(key, question))
            return {"plaintext": base64.b64encode(plain).decode()}
        raise Refused(404, "no handler for route")

    def vault(self, question):
        parts = self.path.split("/")
        if self.headers.get("X-Vault-Token") != self.state.token:
            raise Refused(403, "permission denied")
        if len(parts) != 5 or parts[:3] != ["", "v1", "transit"]:
            raise Refused(404, "no handler for route")
        return self.engine(parts[3], parts[4], question)

    def misbehave(self, mode):
        if mode == "sealed":
            self.answer(503, {"errors": ["Vault is sealed"]})
        elif mode == "silent":
            self.state.leaving.wait()
        elif mode == "garbage":
            self.send(200, b'{"data": {"plaintext": "AAAA", "ciphertext": 7')
        elif mode == "other":
            self.answer(200, {"data": {"plaintext": "AAAA", "ciphertext": 7}})
        elif mode == "huge":
            self.answer(200, {"data": {"plaintext": "A" * 100000}})
        elif mode == "redirect":
            self.answer(307, {}, Location=self.path)
        elif mode == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
            self.close_connection = True

    def control(self, wish):
        state = self.state
        state.mode = wish.get("mode", state.mode)
        state.token = wish.get("token", state.token)
        if "rotate" in wish:
            state.keys[wish["rotate"]].versions.append(os.urandom(32))
        if "retire" in wish:
            state.keys[wish["retire"]].oldest += 1
        answer = {"asked": state.asked, "connections": state.connections}
        if wish.get("plaintexts"):
            answer["plaintexts"] = state.plaintexts
        self.answer(200, answer)

    def serve(self):
        question = self.body()
        with self.state.lock:
            if self.path == "/test":
                self.control(question)
                return
            self.state.asked += 1
        if self.state.mode != "ok":
            self.misbehave(self.state.mode)
            return
        try:
            self.answer(200, {"request_id": "1", "lease_duration": 0,
                              "data": self.vault(question)})
        except Refused as refused:
            self.answer(refused.status, {"errors": refused.errors})

    do_GET = do_POST = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that go away are what some tests are about


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    server.state = State()
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.state.leaving.set()


if __name__ == "__main__":
    main()
