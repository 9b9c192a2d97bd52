"""Private keys of certificates are in the signers and nowhere else: what handshakes look like from outside, what a search
of every process's memory finds, and what becomes of sessions when keys change or a signer dies."""
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from lib import certificates, ports
from lib.fake_server import FakeServer
from lib.instance import Instance, can_be_root
from lib.key_memory import found, secrets_of
from lib.messages import message
from lib.place import SANITIZED
from lib.processes import descriptors, frozen, receiver_of
from lib.talker import fresh_source
from lib.waiting import stat, wait_for

needs_root = pytest.mark.skipif(not can_be_root() or SANITIZED or "PARCELPOST_WRAPPER" in os.environ,
                                reason="memory is searched as root, in processes that are confined")
KINDS = {"rsa.example.test": ["rsa:2048"], "ec.example.test": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "p384.example.test": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "ed25519.example.test": ["ed25519"]}


def pair(folder, name, how):
    key, chain = os.path.join(folder, f"{name}.key"), os.path.join(folder, f"{name}.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *how, "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext",
                    "subjectAltName=DNS:" + name, "-keyout", key, "-out", chain], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return chain, key


def s_client(port, *words):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", *words], input="QUIT\r\n", timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True).stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One with a certificate of each kind by its name, a port that begins with TLS, and a server to send to."""
    folder = str(tmp_path_factory.mktemp("keys"))
    os.chmod(folder, 0o755)
    port, = ports.take(1)
    pairs = {name: pair(folder, name, how) for name, how in KINDS.items()}
    blocks = [f'tls_certificate "{name}" {{ certificate = "{chain}"\n private_key = "{key}" }}\n' for name, (chain, key) in pairs.items()]
    extra = "".join(blocks) + f'listen "127.0.0.1:{port}" {{ role = submission\n tls = implicit }}\n'
    with FakeServer() as sink, Instance(root=True if can_be_root() else None, extra=extra, route=sink.endpoint,
                                        settings={"signer_workers": 3}) as instance:
        instance.implicit_port, instance.pairs = port, pairs
        yield instance
    ports.give_back([port])


# ---- from outside ----

@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("how", ["starttls", "implicit"])
def test_every_kind_of_key_signs_handshakes(server, how, name, version):
    words = ["-starttls", "smtp"] if how == "starttls" else []
    output = s_client(server.submission_port if how == "starttls" else server.implicit_port, *words, "-servername", name, "-CAfile",
                      server.pairs[name][0], "-verify_return_error", version)
    assert "Verification: OK" in output and f"CN = {name}" in output, output


def test_signers_are_as_many_as_configured_and_share_the_receivers(server):
    def cost(pid):
        return sum(map(int, stat(pid)[11:13]))
    signers = [pid for pid, _, _ in server.processes("signer")]
    assert len(signers) == 3
    before = {pid: cost(pid) for pid in signers}

    def all_have_signed():
        s_client(server.implicit_port, "-servername", "rsa.example.test")
        return all(cost(pid) > before[pid] for pid in signers)
    wait_for(all_have_signed, "work of every signer", timeout=120, explain=server.log_tail)


# ---- from inside ----

def everybody(server):
    """(pid, name) of all processes, those that an operator has made aside."""
    return [(pid, name) for pid, name, _ in server.processes()]


def where(server, secrets):
    """{process name: names of the secrets that any of its processes holds}."""
    there = {}
    for pid, name in everybody(server):
        there.setdefault(name, set()).update(found(pid, secrets) or set())
    return there


def only_signers_hold(server, path):
    there = where(server, secrets_of(path))
    assert there.pop("signer"), f"the search does not find {path} where it is"
    assert {"parcelpostd", "receiver", "ledger", "lookup", "resolver", "runner"} <= there.keys()
    assert {name: secrets for name, secrets in there.items() if secrets} == {}


@needs_root
@pytest.mark.parametrize("name", KINDS)
def test_a_private_key_is_in_the_memory_of_signers_alone(server, name):
    """While one client speaks behind STARTTLS, another where TLS comes first, and an agent sends mail within reach."""
    with server.talk("internal") as stranger:
        stranger.ehlo()
        assert stranger.mail("coco@example.test", "someone@example.net", message("memory")).code == 250
    wait_for(lambda: server.processes("agent"), "an agent", explain=server.log_tail)
    with server.talk("submission", fresh_source()) as client, socket.create_connection(("127.0.0.1", server.implicit_port)) as plain:
        context = ssl.create_default_context(cafile=server.pairs[name][0])
        client.ehlo()
        client.expect(220, "STARTTLS")
        client.socket = context.wrap_socket(client.socket, server_hostname=name)
        with context.wrap_socket(plain, server_hostname=name) as begun:
            assert begun.recv(100).startswith(b"220 ")
            assert client.ehlo().code == 250
            only_signers_hold(server, server.pairs[name][1])


@needs_root
def test_each_signer_has_every_key(server):
    for _, key in server.pairs.values():
        secrets = secrets_of(key)
        assert all(found(pid, secrets) for pid, _, _ in server.processes("signer"))


@needs_root
def test_the_key_of_a_self_signed_certificate_is_in_the_signers_alone(make_instance):
    """It was never in a file with a name: root finds it behind the listener's descriptor."""
    server = make_instance(root=True, settings={"certificate": "", "private_key": ""})
    with server.talk() as client:
        client.ehlo()
        client.starttls(None)
        client.ehlo()
        numbers = [number for number, target in descriptors(server.pid).items() if target.startswith("/memfd:keys")]
        assert len(numbers) == 1
        copy = server.path("self_signed.key")
        with open(f"/proc/{server.pid}/fd/{numbers[0]}", "rb") as stream, open(copy, "wb") as out:
            out.write(os.pread(stream.fileno(), 1 << 20, 0))
        there = where(server, secrets_of(copy, "DER"))
    assert there.pop("signer")
    assert {name: secrets for name, secrets in there.items() if secrets} == {}


@needs_root
def test_nobody_but_listener_and_signers_is_given_the_file_of_the_keys(server):
    """Signers close it before they drop."""
    for pid, name in everybody(server):
        if name != "parcelpostd":
            assert not [target for target in descriptors(pid).values() if "memfd:keys" in target], name


# ---- changes ----

def shown(server, source=None):
    with server.talk(source=source or fresh_source()) as client:
        client.ehlo()
        client.expect(220, "STARTTLS")
        context = ssl._create_unverified_context()  # noqa: SLF001: a client that looks, and verifies nothing
        client.socket = context.wrap_socket(client.socket, server_hostname="mail.example.test")
        der = client.socket.getpeercert(True)
        assert client.ehlo().code == 250
    return der


@needs_root
def test_a_reload_brings_new_keys_and_old_sessions_go_on_with_the_old(make_instance):
    server = make_instance(root=True)
    first, former_key = shown(server), server.path("former.key")
    shutil.copyfile(server.path("private_key.pem"), former_key)
    with server.talk(source=fresh_source()) as old, server.talk(source=fresh_source()) as older:
        old.ehlo()
        older.ehlo()
        older.starttls(None)
        signers = {pid for pid, _, _ in server.processes("signer")}
        certificates.certificate(server.directory, "renewed.example.test")
        before = len(server.log_text())
        server.reload()
        server.wait_log("the configuration was read again", before)
        wait_for(lambda: shown(server) != first, "the new certificate", explain=server.log_tail)
        assert older.ehlo().code == 250
        old.expect(220, "STARTTLS")  # its handshake is yet to come: the certificate and the key that it began with
        context = ssl._create_unverified_context()  # noqa: SLF001
        old.socket = context.wrap_socket(old.socket, server_hostname="mail.example.test")
        assert old.socket.getpeercert(True) == first
        assert old.ehlo().code == 250
    wait_for(lambda: not signers & {pid for pid, _, _ in server.processes("signer")}, "the end of the old signers", explain=server.log_tail)
    only_signers_hold(server, server.path("private_key.pem"))
    there = where(server, secrets_of(former_key))
    assert {name: secrets for name, secrets in there.items() if secrets} == {}, "the former key is nobody's any more"


def test_a_key_that_changes_on_disk_changes_nothing_before_a_reload(make_instance):
    """A signer that dies in between is replaced by one that has the key of the certificate that is shown."""
    server = make_instance()
    first = shown(server)
    certificates.certificate(server.directory, "renewed.example.test")
    server.kill("signer")

    def answers():
        try:
            return shown(server)
        except (OSError, AssertionError):
            return None  # it met the old signers' receivers
    assert wait_for(answers, "new signers", explain=server.log_tail) == first


@pytest.mark.parametrize("how", ["starttls", "implicit"])
def test_a_signer_that_is_killed_costs_the_handshakes_in_hand_alone(make_instance, how):
    port, = ports.take(1)
    server = make_instance(extra=f'listen "127.0.0.1:{port}" {{ role = submission\n tls = implicit }}\n', settings={"signer_workers": 1})
    context = ssl._create_unverified_context()  # noqa: SLF001
    with server.talk(source=fresh_source()) as old:
        old.ehlo()
        old.starttls(None)
        if how == "starttls":
            client = server.talk("submission", fresh_source())
            client.ehlo()
            client.expect(220, "STARTTLS")
            raw = client.socket
        else:
            raw = socket.create_connection(("127.0.0.1", port), source_address=(fresh_source(), 0), timeout=60)
            receiver_of(server, raw)
        with raw:
            before = len(server.log_text())
            raw.settimeout(60)
            with frozen(*[pid for pid, _, _ in server.processes("signer")]):  # so that the handshake has begun when it dies
                begun = context.wrap_socket(raw, do_handshake_on_connect=False)
                begun.setblocking(False)
                with pytest.raises((ssl.SSLWantReadError, ssl.SSLWantWriteError)):
                    begun.do_handshake()
                begun.setblocking(True)
                server.kill("signer")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                begun.do_handshake()
            server.wait_log("TLS_SIGN was not answered: the service is gone", before)
            server.wait_log(r"TLS with \S+ failed: ", before)
        assert old.ehlo().code == 250  # whose handshake is over
    wait_for(lambda: works(server), "a new signer", explain=server.log_tail)
    ports.give_back([port])


def works(server):
    try:
        return bool(shown(server))
    except (OSError, AssertionError):
        return False
