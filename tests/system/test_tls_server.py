"""What clients see of the server's TLS: certificates by server name, presets, resumed sessions, certificates of their own."""
import os
import re
import shutil
import ssl
import subprocess

import pytest

from lib import certificates
from lib.certificates import timed
from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.processes import is_there, receiver_of
from lib.rules import write_rules
from lib.sasl import Scram, end_point_binding
from lib.set_clock import SetClock
from lib.talker import fresh_source
from lib.waiting import wait_for

OPENSSL = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 60, "check": False, "text": True}


def pair(folder, name, kind="ec", alternative=None):
    """(certificate, key) in the folder, self-signed."""
    key, chain = os.path.join(folder, f"{name}.{kind}.key"), os.path.join(folder, f"{name}.{kind}.pem")
    how = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", *how, "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext",
                    "subjectAltName=DNS:" + (alternative or name), "-keyout", key, "-out", chain], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return chain, key


def block(name, chains, keys):
    def quoted(files):
        return "{" + ", ".join(f'"{file}"' for file in files) + "}"
    return f'tls_certificate "{name}" {{ certificate = {quoted(chains)}\n private_key = {quoted(keys)} }}\n'


def s_client(port, *words, lines="QUIT\r\n", server_name="mail.example.test"):
    """The output of openssl s_client behind STARTTLS."""
    names = ["-servername", server_name] if server_name else ["-noservername"]
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp", "-quiet" if "-quiet" in words else "-brief",
                           *names, *[word for word in words if word != "-quiet"]], input=lines, **OPENSSL).stdout


def shown(server, server_name, **options):
    """The common name of the certificate that a client gets, and the kind of its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "ciphers" in options:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(options["ciphers"])
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(220, "STARTTLS")
        client.socket = context.wrap_socket(client.socket, server_hostname=server_name)
        der = client.socket.getpeercert(True)
        assert client.ehlo().code == 250
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der, stdout=subprocess.PIPE, check=True).stdout.decode()
    return re.search(r"Subject: CN = (\S+)", text).group(1), "rsa" if "rsaEncryption" in text else "ec"


# ---- certificates by name ----

@pytest.fixture(scope="module")
def named(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("certificates"))
    os.chmod(folder, 0o755)
    both = pair(folder, "both.example.test", "rsa"), pair(folder, "both.example.test", "ec")
    star, exact = pair(folder, "star.example.test", alternative="*.star.example.test"), pair(folder, "exact.star.example.test")
    extra = block("both.example.test", *zip(*both)) + block("*.star.example.test", [star[0]], [star[1]]) + \
        block("exact.star.example.test", [exact[0]], [exact[1]])
    with Instance(extra=extra) as instance:
        instance.folder = folder
        yield instance


@pytest.mark.parametrize("asked, got", [
    ("mail.example.test", "mail.example.test"), (None, "mail.example.test"), ("elsewhere.example.net", "mail.example.test"),
    ("both.example.test", "both.example.test"), ("BOTH.example.test", "both.example.test"), ("a.star.example.test", "star.example.test"),
    ("exact.star.example.test", "exact.star.example.test"), ("a.b.star.example.test", "mail.example.test"), ("star.example.test", "mail.example.test")])
def test_the_certificate_follows_the_server_name(named, asked, got):
    assert shown(named, asked)[0] == got


@pytest.mark.parametrize("ciphers, kind", [("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ec")])
def test_rsa_and_ecdsa_stand_side_by_side(named, ciphers, kind):
    assert shown(named, "both.example.test", ciphers=ciphers) == ("both.example.test", kind)


def issued(folder):
    """(the authority's certificate, a file with one that it has issued, its key), for chain.example.test."""
    authority = pair(folder, "ca.example.test")
    key, leaf = os.path.join(folder, "leaf.key"), os.path.join(folder, "leaf.pem")
    request = subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=chain.example.test",
                              "-keyout", key], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    subprocess.run(["openssl", "x509", "-req", "-CA", authority[0], "-CAkey", authority[1], "-days", "2", "-out", leaf], input=request,
                   stderr=subprocess.DEVNULL, check=True)
    os.chmod(folder, 0o755)
    return authority[0], leaf, key


def test_a_chain_is_sent_whole(make_instance, tmp_path):
    authority, chain, key = issued(str(tmp_path))
    with open(authority, "rb") as above, open(chain, "ab") as stream:
        stream.write(above.read())
    server = make_instance(extra=block("chain.example.test", [chain], [key]))
    output = s_client(server.submission_port, "-CAfile", authority, server_name="chain.example.test")
    assert "Verification: OK" in output, output


def test_the_authorities_of_clients_are_no_part_of_the_chain(make_instance, tmp_path):
    authority, leaf, key = issued(str(tmp_path))
    server = make_instance(settings={"client_certificates": "ask", "client_ca": authority}, extra=block("chain.example.test", [leaf], [key]))
    output = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.submission_port}", "-starttls", "smtp", "-showcerts",
                             "-servername", "chain.example.test"], input="QUIT\r\n", **OPENSSL).stdout
    assert output.count("BEGIN CERTIFICATE") == 1, output


def test_sighup_renews_every_certificate_or_none(make_instance, tmp_path):
    os.chmod(tmp_path, 0o755)
    first, second = pair(str(tmp_path), "one.example.test"), pair(str(tmp_path), "other.example.test")
    server = make_instance(extra=block("one.example.test", [first[0]], [first[1]]))
    shutil.copyfile(second[0], first[0])  # no longer its key's
    server.reload()
    assert re.search(rf"the configuration in force stays: private key {re.escape(first[1])} does not belong to certificate {re.escape(first[0])}",
                     server.log_text())
    assert shown(server, "one.example.test")[0] == "one.example.test"
    shutil.copyfile(second[1], first[1])
    certificates.certificate(server.directory, "renewed.example.test")
    before = len(server.log_text())
    server.reload()
    server.wait_log("the configuration was read again", before)
    wait_for(lambda: shown(server, "one.example.test")[0] == "other.example.test", "the renewed certificate of a name")
    assert shown(server, None)[0] == "renewed.example.test"


def encrypt(_, key):
    subprocess.run(["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", key + ".new"], check=True, stderr=subprocess.DEVNULL)
    os.replace(key + ".new", key)


def empty(_, key):
    os.truncate(key, 0)


def take_a_curve_that_nobody_speaks(chain, key):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-keyout", key, "-out", chain], check=True, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("spoil, words", [
    (encrypt, "private key {key} is encrypted, and nobody is there to be asked for its passphrase"),
    (empty, "private key {key}: no PEM key that OpenSSL knows"),
    (take_a_curve_that_nobody_speaks, "certificate {chain} and its key cannot be used: "),
])
def test_a_pair_that_cannot_be_used_is_named_with_the_reason(make_instance, tmp_path, spoil, words):
    os.chmod(tmp_path, 0o755)
    good, bad = pair(str(tmp_path), "one.example.test"), pair(str(tmp_path), "other.example.test")
    server = make_instance(extra=block("one.example.test", [good[0]], [good[1]]) + block("other.example.test", [bad[0]], [bad[1]]))
    spoil(*bad)
    server.reload()
    assert "the configuration in force stays: " + words.format(chain=bad[0], key=bad[1]) in server.log_text()
    assert shown(server, "other.example.test")[0] == "other.example.test"


@pytest.mark.parametrize("line, words", [
    ('tls_certificate "a b" {{ certificate = "{chain}"\n private_key = "{key}" }}', ['tls_certificate "a b": is no server name']),
    ('tls_certificate "a.example" {{ certificate = "{chain}" }}', ['tls_certificate "a.example": lacks one of its keys']),
    ('tls_certificate "a.example" {{ certificate = "/nowhere/a.pem"\n private_key = "{key}" }}', ["certificate /nowhere/a.pem: No such file"]),
    ('tls_certificate "a.example" {{ certificate = "{key}"\n private_key = "{key}" }}', ["certificate {key}"]),
    ('client_ca = "{chain}"', ["client_ca: clients are not asked for certificates"]),
    ('client_certificates = ask\nclient_ca = "/nowhere/ca.pem"', ["client_ca /nowhere/ca.pem: No such file"]),
], ids=["name", "no_key", "no_file", "no_certificate", "ca_without_ask", "no_ca"])
def test_a_wrong_certificate_stops_the_start(make_instance, line, words):
    instance = make_instance(start=False)
    instance.prepare_files()
    files = {"chain": instance.path("certificate.pem"), "key": instance.path("private_key.pem")}
    with open(instance.configuration, "a", encoding="utf-8") as stream:
        stream.write(line.format(**files) + "\n")
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-f"], **OPENSSL)
    assert done.returncode == 78 and all(word.format(**files) in done.stdout for word in words), done.stdout


def test_parcelpost_tells_which_certificate_a_name_gets(named):
    text = named.command("tls", "certificate", "a.star.example.test")
    assert "star.example.test" in text and "*.star.example.test" in text and f"{named.folder}/star.example.test.ec.pem" in text
    text = named.command("tls", "certificate", "both.example.test")
    assert "RSA 2048" in text and "EC 256" in text
    text = named.command("tls", "certificate")
    for name in ("mail.example.test", "both.example.test", "*.star.example.test", "exact.star.example.test"):
        assert name in text


# ---- presets ----

OLD = ["-cipher", "ALL:@SECLEVEL=0"]


@pytest.mark.parametrize("preset, good, bad", [
    ("modern", [["-tls1_3"]], [["-tls1_2"]]),
    ("intermediate", [["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]],
     [["-tls1_1", *OLD], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"]]),
    ("old", [["-tls1_3"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], ["-tls1_1", *OLD], ["-tls1", *OLD]],
     [["-tls1_2", "-cipher", "NULL:@SECLEVEL=0"]]),
])
def test_presets_say_which_versions_and_ciphers(make_instance, preset, good, bad):
    server = make_instance(settings={"tls_preset": preset})
    for words in good:
        output = s_client(server.submission_port, *words)
        assert "CONNECTION ESTABLISHED" in output, (words, output)
    for words in bad:
        output = s_client(server.submission_port, *words)
        assert "CONNECTION ESTABLISHED" not in output, (words, output)


# ---- resumption ----

@pytest.fixture(scope="module")
def server():
    with Instance() as instance:
        yield instance


def resumable(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    return context


def connect(server, context, session=None, role="submission", server_name="mail.example.test"):
    """A client behind STARTTLS that brings a session; EHLO has been answered, so that a ticket has come."""
    client = server.talk(role, fresh_source())
    client.ehlo()
    client.expect(220, "STARTTLS")
    client.socket = context.wrap_socket(client.socket, server_hostname=server_name, session=session)
    client.ehlo()
    return client


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_in_another_receiver(server, version):
    """With receiver_sessions = 1 every connection has a process of its own."""
    assert server.default_settings().get("receiver_sessions", 1) == 1
    context = resumable(version)
    with connect(server, context) as client:
        assert not client.socket.session_reused and client.socket.session.has_ticket
        session, first = client.socket.session, receiver_of(server, client.socket)
        client.quit()
    wait_for(lambda: not is_there(first), "the end of that receiver")
    for _ in range(3):
        with connect(server, context, session) as client:
            assert client.socket.session_reused
            session = client.socket.session if version == ssl.TLSVersion.TLSv1_3 else session
            client.quit()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_resumes(server, version, tmp_path):
    file = str(tmp_path / "session")
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.submission_port}", "-starttls", "smtp", version, "-servername", "mail.example.test",
               "-ign_eof"]
    first = subprocess.run([*command, "-sess_out", file], input="QUIT\r\n", **OPENSSL).stdout
    assert re.search("^New, TLSv1", first, re.M), first
    second = subprocess.run([*command, "-sess_in", file], input="QUIT\r\n", **OPENSSL).stdout
    assert re.search("^Reused, TLSv1", second, re.M), second


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_keeps_no_login(server, version):
    context = resumable(version)
    with connect(server, context) as client:
        assert client.login() == 235
        client.expect(250, "MAIL FROM:<coco@example.test>")
        client.expect(250, "RSET")
        session = client.socket.session
        client.quit()
    with connect(server, context, session) as client:
        assert client.socket.session_reused
        assert client.command("MAIL FROM:<coco@example.test>").code == 530
        client.quit()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_only_with_the_certificate_that_it_began_with(named, version):
    """RFC 6066 3: not for another name."""
    context = resumable(version)
    with connect(named, context, server_name="exact.star.example.test") as client:
        session = client.socket.session
        client.quit()
    for name, resumed in (("exact.star.example.test", True), ("a.star.example.test", False), ("mail.example.test", False)):
        with connect(named, context, session, server_name=name) as client:
            assert client.socket.session_reused == resumed, name
            client.quit()


@pytest.mark.parametrize("version, ciphers", [(VERSIONS[0], "ECDHE-ECDSA-AES128-GCM-SHA256"), (VERSIONS[0], "ECDHE-RSA-AES128-GCM-SHA256"),
                                              (VERSIONS[1], "ALL")])
def test_a_login_over_a_resumed_session_is_bound_to_the_certificate_that_it_began_with(named, version, ciphers):
    context, session = resumable(version), None
    context.set_ciphers(ciphers)
    for _ in range(3):  # a session of TLS 1.3 that is resumed gives another one
        with connect(named, context, session, server_name="both.example.test") as client:
            assert client.socket.session_reused == (session is not None)
            session, binding = client.socket.session, binding if session else end_point_binding(client)
            assert Scram(client, header="p=tls-server-end-point,,", binding=binding, plus=True).login() == 235
            client.quit()


def test_ticket_keys_outlive_a_reload(make_instance):
    server, context = make_instance(), resumable(ssl.TLSVersion.TLSv1_3)
    with connect(server, context) as client:
        session = client.socket.session
        client.quit()
    before = len(server.log_text())
    server.reload()
    server.wait_log("the configuration was read again", before)
    with connect(server, context, session) as client:
        assert client.socket.session_reused
        client.quit()


def test_what_is_asked_of_clients_is_asked_again_after_a_change(make_instance):
    """A session from before client_certificates = ask would pass its question by."""
    server, context = make_instance(), resumable(ssl.TLSVersion.TLSv1_3)
    with connect(server, context) as client:
        session = client.socket.session
        client.quit()
    server.settings["client_certificates"] = "ask"
    server.write_configuration()
    before = len(server.log_text())
    server.reload()
    server.wait_log("the configuration was read again", before)
    with connect(server, context, session) as client:
        assert not client.socket.session_reused
        client.quit()


def test_ticket_keys_are_changed_and_the_one_before_is_taken_for_as_long(make_instance):
    server, context = make_instance(settings={"tls_session_lifetime": 2}), resumable(ssl.TLSVersion.TLSv1_3)

    with connect(server, context) as client:
        first = client.socket.session
        client.quit()

    def is_forgotten():
        with connect(server, context, first) as client:
            reused = client.socket.session_reused
            client.quit()
        return not reused
    wait_for(is_forgotten, "the first key to be forgotten")
    with connect(server, context) as client:
        fresh = client.socket.session
        client.quit()
    with connect(server, context, fresh) as client:
        assert client.socket.session_reused
        client.quit()


def test_receivers_that_wait_are_replaced_when_a_key_is_made(make_instance):
    """On an idle server they would go on giving out tickets that nobody else takes any more."""
    server = make_instance(settings={"tls_session_lifetime": 5, "log_level": "debug"})
    before = {pid for pid, _, _ in server.processes("receiver")}
    server.wait_log("a new key for session tickets")
    wait_for(lambda: not before & {pid for pid, _, _ in server.processes("receiver")}, "the end of those that waited")
    wait_for(lambda: server.processes("receiver"), "others")


def test_without_a_lifetime_there_are_no_tickets(make_instance):
    server = make_instance(settings={"tls_session_lifetime": 0})
    for version in VERSIONS:
        context = resumable(version)
        with connect(server, context) as client:
            session = client.socket.session
            client.quit()
        assert not session.has_ticket
        with connect(server, context, session) as client:
            assert not client.socket.session_reused
            client.quit()


# ---- certificates of clients ----

@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("clients"))
    os.chmod(folder, 0o755)
    known, stranger = pair(folder, "known.example.net"), pair(folder, "stranger.example.net")
    settings = {"client_certificates": "ask", "client_ca": known[0]}
    instance = Instance(settings=settings)
    os.makedirs(instance.path("rules"), exist_ok=True)
    with open(instance.path("rules", "mail_from.sql"), "w", encoding="ascii") as stream:
        stream.write("SELECT '450 4.7.1 sni=' || :tls_sni || ' client=' || :tls_client || ' by=' || :tls_client_issuer || ' print=' || "
                     ":tls_client_fingerprint WHERE :from = 'tell@example.net'\n")
    with instance:
        instance.known, instance.stranger = known, stranger
        yield instance


def told(server, certificate=None, session=None, server_name="mail.example.test"):
    """What the rule says of a client with this certificate, and its session."""
    context = resumable(ssl.TLSVersion.TLSv1_3)
    if certificate:
        context.load_cert_chain(*certificate)
    with connect(server, context, role="mx", server_name=server_name) as client:
        first, session = client.command("MAIL FROM:<tell@example.net>").text, client.socket.session
        client.quit()
    with connect(server, context, session, role="mx", server_name=server_name) as client:
        assert client.socket.session_reused
        assert client.command("MAIL FROM:<tell@example.net>").text == first  # a resumed session tells the same
        client.quit()
    return first


def fingerprint(certificate):
    text = subprocess.run(["openssl", "x509", "-in", certificate[0], "-noout", "-fingerprint", "-sha256"], stdout=subprocess.PIPE, check=True,
                          text=True).stdout
    return text.strip().partition("=")[2]


def test_rules_see_whose_certificate_a_client_shows(asking):
    name = "CN=known.example.net"
    assert told(asking, asking.known) == f"450 4.7.1 sni=mail.example.test client={name} by={name} print={fingerprint(asking.known)}"


def test_an_unknown_authority_gives_the_fingerprint_alone(asking):
    assert told(asking, asking.stranger) == f"450 4.7.1 sni=mail.example.test client= by= print={fingerprint(asking.stranger)}"


def asked_who(server, context, session=None):
    """Whom the server verifies, whether it was told by a resumed session, and that session."""
    with connect(server, context, session, role="mx") as client:
        reply, resumed, session = client.command("MAIL FROM:<tell@example.net>").text, client.socket.session_reused, client.socket.session
        client.quit()
    return re.search("client=(.*) by=", reply).group(1), resumed, session


def start_asking(make_instance, authorities):
    """A server whose clock can be set."""
    server = make_instance(start=False, preload="clock", settings={"client_certificates": "ask", "client_ca": authorities})
    server.clock = SetClock(server)
    server.prepare()
    write_rules(server, {"mail_from": "SELECT '450 4.7.1 client=' || :tls_client || ' by=' || :tls_client_issuer"})
    return server.launch()


def test_a_resumed_session_vouches_for_no_certificate_that_has_expired(make_instance, tmp_path):
    os.chmod(tmp_path, 0o755)
    mine = timed(str(tmp_path), "passing", 0, 1800)
    server, context = start_asking(make_instance, mine[0]), resumable(ssl.TLSVersion.TLSv1_3)
    context.load_cert_chain(*mine)
    name, _, session = asked_who(server, context)
    assert name == "CN=passing"
    server.clock.set(1900)  # the session lives for an hour
    assert asked_who(server, context, session)[:2] == ("", True)


def test_a_session_is_not_resumed_when_others_may_vouch_for_clients(make_instance, tmp_path):
    os.chmod(tmp_path, 0o755)
    mine, other = pair(str(tmp_path), "mine.example.net"), pair(str(tmp_path), "other.example.net")
    authorities = shutil.copy(mine[0], tmp_path / "authorities.pem")
    server, context = start_asking(make_instance, str(authorities)), resumable(ssl.TLSVersion.TLSv1_3)
    context.load_cert_chain(*mine)
    name, _, session = asked_who(server, context)
    assert name == "CN=mine.example.net" and asked_who(server, context, session)[:2] == (name, True)
    shutil.copy(other[0], authorities)
    before = len(server.log_text())
    server.reload()
    server.wait_log("the configuration was read again", before)
    assert asked_who(server, context, session)[:2] == ("", False)


def test_a_client_without_a_certificate_is_served(asking, marker):
    assert told(asking) == "450 4.7.1 sni=mail.example.test client= by= print="
    with asking.talk(source=fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    asking.wait_mail("coco@example.test", marker)
