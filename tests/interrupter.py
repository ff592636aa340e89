"""A TCP proxy that holds, cuts or falsifies what goes through it, once, after
so many bytes of one direction."""

import socket
import threading


class Interrupter:
    """`direction` is "up" or "down"; `action`:

    hold   nothing more goes up: held is set when every client has sent more
           than it may, so that the server is waiting or idle
    cut    the connection is closed
    flip   one byte is another
    """

    def __init__(self, port, direction, after, action):
        self.port, self.direction, self.action = port, direction, action
        self.left = after
        self.done = False
        self.held = threading.Event()
        self.lock = threading.Lock()
        self.clients = {}  # socket: it is held
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            with self.lock:
                self.clients[client] = False
            for way, source, target in (("up", client, server),
                                        ("down", server, client)):
                threading.Thread(target=self._forward, daemon=True,
                                 args=(way, source, target, client)).start()

    def _pass(self, way, data):
        """What goes on of the data, and the action to be taken after it."""
        with self.lock:
            if self.done:
                return (b"", "hold") if (
                    self.action == "hold" and way == self.direction
                ) else (data, None)
            if way != self.direction or len(data) <= self.left:
                self.left -= len(data) if way == self.direction else 0
                return data, None
            self.done = True
            if self.action == "flip":
                at = self.left
                return (data[:at] + bytes([data[at] ^ 1]) + data[at + 1:],
                        None)
            return data[:self.left], self.action

    def _hold(self, client):
        with self.lock:
            self.clients[client] = True
            if self.direction == "down" or all(self.clients.values()):
                self.held.set()

    def _forward(self, way, source, target, client):
        try:
            while data := source.recv(65536):
                data, action = self._pass(way, data)
                target.sendall(data)
                if action == "hold":
                    self._hold(client)
                    return
                if action == "cut":
                    break
        except OSError:
            pass
        with self.lock:
            self.clients.pop(client, None)
            if (self.action == "hold" and self.done and self.clients
                    and all(self.clients.values())):
                self.held.set()
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        with self.lock:
            clients = list(self.clients)
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
