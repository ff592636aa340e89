"""A whole server for the Python tests: nginx with the module, s3d, drives.

Everything lives below one directory and listens on 127.0.0.1 on free ports.
Processes are stopped by their own pid.
"""

import hashlib
import hmac
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / os.environ.get("S3D_BUILD", "build/release")


held = []


def free_port():
    """Ours until the tests end: a socket that is bound and does not listen
    keeps the port from every other test, not from a server that sets
    SO_REUSEADDR."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.append(s)
    return s.getsockname()[1]


def wait_for(condition, what, seconds=60):
    """Waits for an event; the short pause is a poll, not a guess."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


def accepts(family, address):
    with socket.socket(family) as s:
        try:
            s.connect(address)
            return True
        except OSError:
            return False


class Stack:
    """nginx and s3d below `directory`; `start()` may be called again."""

    def __init__(self, directory, drives=6, workers=2, s3d_extra="",
                 location_extra="", http_extra="", connections=4096,
                 tls=False):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.drives = [self.directory / f"drive{i}" for i in range(drives)]
        self.port = free_port()
        self.workers = workers
        self.s3d_extra = s3d_extra
        self.location_extra = location_extra
        self.http_extra = http_extra
        self.connections = connections  # of each worker
        self.tls = tls
        self.certificate = self.directory / "tls.pem" if tls else None
        self.s3d = None
        self.nginx = None
        self.access_key = self.secret_key = None

    @property
    def endpoint(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def socket_path(self):
        return self.directory / "s3d.sock"

    @property
    def admin_path(self):
        return self.directory / "admin.sock"

    def write_s3d_conf(self):
        drives = ",\n".join(f'    {{ path = "{d}"; }}' for d in self.drives)
        (self.directory / "s3d.conf").write_text(f"""\
socket = "{self.socket_path}";
admin_socket = "{self.admin_path}";
state = "{self.directory}";
master_key = "{self.directory}/master.key";
region = "us-east-1";
log = "{self.directory}/s3d.log";
reserve = "64M";
drives = (
{drives}
);
{self.s3d_extra}
""")

    def make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", self.directory / "tls.key", "-out", self.certificate],
            check=True, capture_output=True)

    def listen(self):
        return f"listen 127.0.0.1:{self.port};" if not self.tls else f"""\
listen 127.0.0.1:{self.port} ssl;
        ssl_certificate {self.certificate};
        ssl_certificate_key {self.directory}/tls.key;"""

    def write_nginx_conf(self):
        (self.directory / "nginx.conf").write_text(f"""\
load_module {BUILD}/ngx_http_s3_module.so;
daemon off;
user root;
worker_processes {self.workers};
pid {self.directory}/nginx.pid;
error_log {self.directory}/error.log info;
events {{ worker_connections {self.connections}; }}
http {{
    access_log {self.directory}/access.log;
    sendfile on;
    client_body_temp_path {self.directory}/body_temp;
    proxy_temp_path {self.directory}/proxy_temp;
    fastcgi_temp_path {self.directory}/fastcgi_temp;
    uwsgi_temp_path {self.directory}/uwsgi_temp;
    scgi_temp_path {self.directory}/scgi_temp;
    s3_zone keys:1m;
    upstream s3d {{
        server unix:{self.socket_path};
        keepalive 64;
    }}
    {self.http_extra}
    server {{
        {self.listen()}
        location / {{
            s3_pass s3d;
            {self.location_extra}
        }}
    }}
}}
""")

    def start_s3d(self):
        self.write_s3d_conf()
        for drive in self.drives:
            drive.parent.mkdir(parents=True, exist_ok=True)
        output = open(self.directory / "s3d.out", "ab")
        self.s3d = subprocess.Popen(
            [BUILD / "s3d", "-c", self.directory / "s3d.conf"],
            stdout=output, stderr=output)
        wait_for(self._s3d_up, "s3d did not start")

    def _s3d_up(self):
        if self.s3d.poll() is not None:
            log = self.directory / "s3d.log"
            raise RuntimeError("s3d ended: " + (
                (self.directory / "s3d.out").read_text()
                + (log.read_text() if log.exists() else ""))[-2000:])
        return accepts(socket.AF_UNIX, str(self.socket_path))

    def start_nginx(self):
        if self.tls and not self.certificate.exists():
            self.make_certificate()
        self.write_nginx_conf()
        output = open(self.directory / "nginx.out", "ab")
        self.nginx = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", self.directory, "-c",
             self.directory / "nginx.conf", "-e", self.directory / "error.log"],
            stdout=output, stderr=output)
        wait_for(self._nginx_up, "nginx did not start")

    def _nginx_up(self):
        if self.nginx.poll() is not None:
            raise RuntimeError(
                "nginx ended: "
                + (self.directory / "nginx.out").read_text()[-2000:])
        return accepts(socket.AF_INET, ("127.0.0.1", self.port))

    def start(self):
        try:
            self.start_s3d()
            if self.access_key is None:
                user = self.ctl("account", "add", "root", "--operator")
                self.access_key = user["access_key"]
                self.secret_key = user["secret_key"]
            self.start_nginx()
        except BaseException:
            self.stop()
            raise
        return self

    def ctl(self, *words):
        done = subprocess.run(
            [BUILD / "s3ctl", "-s", self.admin_path, "--json", *words],
            capture_output=True, text=True)
        print(done.stderr, end="", file=sys.stderr)
        done.check_returncode()
        return json.loads(done.stdout) if done.stdout.strip() else None

    def kill_s3d(self):
        self.s3d.send_signal(signal.SIGKILL)
        assert self.s3d.wait() == -signal.SIGKILL
        self.s3d = None

    def stop_s3d(self):
        self.s3d.send_signal(signal.SIGTERM)
        assert self.s3d.wait(timeout=60) == 0

    def restart_s3d(self):
        self.stop_s3d()
        self.start_s3d()

    def stop(self):
        for process in (self.nginx, self.s3d):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (self.nginx, self.s3d):
            if process is not None:
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise
                assert process.returncode == 0, process.args

    def logs(self):
        return [self.directory / name for name in
                ("error.log", "s3d.out", "nginx.out", "s3d.log")]

    def check_logs(self):
        """No alert, crash or sanitizer report may be left behind."""
        for path in self.logs():
            text = path.read_text(errors="replace") if path.exists() else ""
            for bad in ("[alert]", "[emerg]", "Sanitizer", "invariant failed",
                        "exited on signal"):
                lines = [line for line in text.splitlines() if bad in line]
                assert not lines, f"{path.name}: {lines[:5]}"

    def worker_pids(self):
        children = pathlib.Path(
            f"/proc/{self.nginx.pid}/task/{self.nginx.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def environment(self):
        """For clients that read AWS's variables; none of this machine's."""
        # Their pre-signed links are of version 2 unless told otherwise.
        config = self.directory / "aws.config"
        config.write_text("[default]\ns3 =\n    signature_version = s3v4\n")
        env = {name: os.environ[name] for name in ("PATH", "LANG")
               if name in os.environ}
        env.update(
            AWS_ACCESS_KEY_ID=self.access_key,
            AWS_SECRET_ACCESS_KEY=self.secret_key,
            AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1",
            AWS_ENDPOINT_URL=self.endpoint,
            AWS_CONFIG_FILE=str(config), AWS_SHARED_CREDENTIALS_FILE="/dev/null",
            AWS_EC2_METADATA_DISABLED="true", HOME=str(self.directory))
        return env

    def client(self, **options):
        import boto3
        from botocore.config import Config
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            verify=str(self.certificate) if self.tls else None,
            config=Config(**options) if options else None)


def peak_rss(pid):
    """Bytes: the most resident memory that a process has had."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM")


def memory_holds(pid, secret):
    """How many of a process's writable mappings hold these bytes."""
    found = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            place, mode = line.split()[:2]
            start, end = (int(number, 16) for number in place.split("-"))
            if not mode.startswith("rw") or "[v" in line or end - start > 1 << 32:
                continue  # the last: the shadow of a sanitizer
            try:
                mem.seek(start)
                found += secret in mem.read(end - start)
            except OSError:
                pass  # it is gone, or is no memory
    return found


def pattern(size, seed=0):
    """Bytes that do not repeat: units, stripes and chunks that changed places
    show."""
    return hashlib.shake_256(str(seed).encode()).digest(size)


def same_tree(a, b):
    """Fails unless both trees hold the same files."""
    def contents(root):
        return {str(p.relative_to(root)): p.read_bytes()
                for p in root.rglob("*") if p.is_file()}
    assert contents(a) == contents(b)


class Signer:
    """Pre-signed URLs, quickly and many."""

    def __init__(self, stack, user=None):
        """Of the stack's own keys, or of a user's that s3ctl has shown."""
        self.access_key = user["access_key"] if user else stack.access_key
        secret_key = user["secret_key"] if user else stack.secret_key
        self.host = f"127.0.0.1:{stack.port}"
        self.when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        key = ("AWS4" + secret_key).encode()
        for word in (self.when[:8], "us-east-1", "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        self.key = key

    def url(self, method, path, subresource=""):
        scope = f"{self.when[:8]}/us-east-1/s3/aws4_request"
        query = urllib.parse.urlencode([
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", f"{self.access_key}/{scope}"),
            ("X-Amz-Date", self.when), ("X-Amz-Expires", "604800"),
            ("X-Amz-SignedHeaders", "host")])
        if subresource:
            query += f"&{subresource}" + ("" if "=" in subresource else "=")
        canonical = "\n".join([method, path, query, f"host:{self.host}", "",
                               "host", "UNSIGNED-PAYLOAD"])
        text = "\n".join(["AWS4-HMAC-SHA256", self.when, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        return f"{path}?{query}&X-Amz-Signature={signature}"

    def headers(self, method, path, payload, **more):
        """Header fields that sign themselves; `payload`: its SHA-256 in hex,
        or UNSIGNED-PAYLOAD."""
        scope = f"{self.when[:8]}/us-east-1/s3/aws4_request"
        fields = {"host": self.host, "x-amz-content-sha256": payload,
                  "x-amz-date": self.when,
                  **{k.replace("_", "-"): v for k, v in more.items()}}
        names = ";".join(sorted(fields))
        canonical = "\n".join(
            [method, path, ""] + [f"{k}:{fields[k]}" for k in sorted(fields)]
            + ["", names, payload])
        text = "\n".join(["AWS4-HMAC-SHA256", self.when, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        fields["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}")
        return fields
