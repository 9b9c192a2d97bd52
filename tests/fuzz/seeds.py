"""First inputs of the targets `session` (every dialogue of tests/session, and what no dialogue shows) and `rules` (the
rules of tests and examples), as fuzz_session.c and fuzz_rules.c want them. tests/fuzz/run --merge takes of them what
reaches new code."""
import base64
import codecs
import glob
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from lib.dialogue import Script  # noqa: E402

PORTS = {"mx": 0, "internal": 1, "sendmail": 2, "submission": 3, "implicit": 4, "lmtp": 5, "proxy": 6, "filter": 7}
DOVECOT, MILTERS, POLICY, RULES, STRANGERS, LENIENT, POOR, SMALL = (1 << bit for bit in range(8))
PACKETS, PACKET, POLICIES, LOGIN, TOKEN, SERVICES, RULE = range(0xf0, 0xf7)
(OPEN, VIOLATION, CONTACT_LOGIN, COUNT, GREYLIST, LOCKED, SPOOL, COMMIT, ADDRESS, PASSWORD, SCRAM_BEGIN, SCRAM_FINISH, MAY_SEND, RULE_ASKED, DNS, SIGN,
 CONNECT, HANDSHAKE, DISK) = range(19)
EAGER, SILENCE, LOSS, STOP, SLOW, DEAF, OFTEN = 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xff
PROXY = b"PROXY TCP4 192.0.2.7 192.0.2.2 1025 25\r\n"
HELLO = b"EHLO c.example.net\r\n"
MAIL = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<coco@example.test>\r\n"
OWN_MAIL = b"MAIL FROM:<coco@example.test>\r\nRCPT TO:<b@example.net>\r\n"
DATA = b"DATA\r\n"
MESSAGE = b"From: coco@example.test\r\nSubject: x\r\n\r\ntext\r\n.\r\n"


def piece(words, tag=None):
    """Words of any length: the client's, or those of whom the tag names."""
    if tag is None:
        return b"".join(struct.pack("B", len(words[at:at + 255])) + words[at:at + 255] for at in range(0, len(words), 255))
    return struct.pack("BB", len(words) + 1, tag) + words


def seed(port, options, *pieces, early=False):
    """bytes: the client's words; a pair: a tag and words."""
    said = b"".join(piece(part) if isinstance(part, bytes) else piece(part[1], part[0]) for part in pieces)
    return struct.pack("BB", PORTS[port] << 1 | early, options) + said


def fill_in(text):
    values = {"server": "mail.example.test", "title": "Example", "domain": "example.test", "ip": "192.0.2.1", "port": "25"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found.group(1), found.group(0)), text)


def choosing(question, *answers):
    return SERVICES, bytes((question, *answers))


def of_dialogue(path):
    script = Script(path)
    listen = script.settings.get("listen", "")
    port = script.port if script.port != "own" else next(
        (name for word, name in (("implicit", "implicit"), ("xclient", "filter"), ("lmtp", "lmtp"), ("required", "proxy"),
                                 ("submission", "submission"), ("internal", "internal")) if word in listen), "filter")
    options = (RULES if "rules_directory" in script.settings else 0) | (POOR if "extensions_off" in script.settings else 0)
    begin = [PROXY] if port == "proxy" else [b"\x16"] if port == "implicit" else []
    talks = [[]]
    for step in script.steps:
        if step.kind == "connect" and talks[-1]:
            talks.append([])
        elif step.kind == "C":
            words = fill_in(step.text).encode("utf-8", "surrogateescape") + b"\r\n"
            if talks[-1] and not talks[-1][-1].endswith(b"\0"):
                words = talks[-1].pop() + words
            talks[-1].append(words)
        elif step.kind == "send-raw":
            talks[-1].append(codecs.escape_decode(fill_in(step.text).encode())[0] + b"\0")
        elif talks[-1] and not talks[-1][-1].endswith(b"\0"):
            talks[-1][-1] += b"\0"  # the end of what is said at once
    for talk in talks:
        words = [part.removesuffix(b"\0") for part in talk]
        for more in (0, LENIENT):
            yield seed(port, options | more, *begin, *words, early=bool(begin))


def base64_of(words):
    return base64.b64encode(words)


def login(mechanism, *answers):
    return [HELLO, b"STARTTLS\r\n", HELLO, b"AUTH " + mechanism + b"\r\n", *[answer if answer.endswith(b"\n") else answer + b"\r\n" for answer in answers]]


def scram(binding, name, bound):
    nonce = b"client" + base64_of(b"Z" * 18)
    final = b"c=" + base64_of(binding + bound) + b",r=" + nonce + b",p=" + base64_of(b"proof")
    return login(name + b" " + base64_of(binding + b"n=coco,r=client"), base64_of(final), b"", OWN_MAIL + DATA, MESSAGE)


def logins():
    plain = base64_of(b"\0coco\0secret")
    yield seed("submission", 0, *login(b"PLAIN " + plain, OWN_MAIL + DATA, MESSAGE))
    yield seed("submission", 0, *login(b"PLAIN", plain), OWN_MAIL, b"BDAT 5\r\nx:y\r\n", b"BDAT 0 LAST\r\n")
    yield seed("submission", STRANGERS, *login(b"PLAIN " + base64_of(b"other\0coco\0secret"), b"AUTH PLAIN =", b"AUTH PLAIN *"))
    for chosen in range(1, 4):
        for question in (PASSWORD, LOCKED, CONTACT_LOGIN, VIOLATION, ADDRESS, MAY_SEND):
            yield seed("submission", 0, choosing(question, chosen), *login(b"PLAIN " + plain, OWN_MAIL + DATA, MESSAGE))
    for outcome in (1, 2):
        for question in (SCRAM_BEGIN, SCRAM_FINISH, LOCKED):
            yield seed("submission", 0, choosing(question, outcome), *scram(b"n,,", b"SCRAM-SHA-256", b""))
    for silent in range(9):
        yield seed("submission", RULES, *[(RULE, b"")] * silent, (RULE, b"\x08\0\0no"), *login(b"PLAIN " + plain, OWN_MAIL + DATA, MESSAGE))
        yield seed("submission", POLICY, *[(POLICIES, b"action=dunno\n\n")] * silent, (POLICIES, b"action=reject\n\n"), *login(b"PLAIN " + plain, OWN_MAIL + DATA, MESSAGE))
    yield seed("submission", RULES, (RULE, b"\0\0\0"), *login(b"PLAIN " + plain))
    yield seed("submission", 0, *login(b"LOGIN", base64_of(b"coco"), base64_of(b"secret")), OWN_MAIL)
    yield seed("submission", 0, *login(b"LOGIN " + base64_of(b"nobody"), b"*"), b"AUTH LOGIN !\r\nsecret word\r\nAUTH NTLM\r\nAUTH\r\n")
    yield seed("submission", 0, *scram(b"n,,", b"SCRAM-SHA-256", b""))
    yield seed("submission", 0, *scram(b"y,,", b"SCRAM-SHA-256", b""))
    yield seed("submission", 0, *scram(b"p=tls-exporter,,", b"SCRAM-SHA-256-PLUS", b"b" * 32))
    yield seed("submission", 0, *scram(b"p=tls-unique,,", b"SCRAM-SHA-256-PLUS", b"b" * 32))
    yield seed("submission", 0, *login(b"SCRAM-SHA-256 " + base64_of(b"n,,n=coco,r=x"), base64_of(b"c=biws,r=other,p=eA==")))
    yield seed("submission", 0, *login(b"SCRAM-SHA-256 " + base64_of(b"n,,n=coco,r=x"), base64_of(b"nonsense")))
    yield seed("submission", 0, *login(b"SCRAM-SHA-256 " + base64_of(b"nonsense")))
    bearer, token = base64_of(b"n,a=coco@example.test,\1auth=Bearer token\1\1"), base64_of(b"user=coco\1auth=Bearer token\1\1")
    yield seed("submission", 0, *login(b"OAUTHBEARER " + bearer), OWN_MAIL)
    yield seed("submission", 0, (TOKEN, b"NO expired\n"), *login(b"OAUTHBEARER " + bearer, b""), (TOKEN, b"?\n"), (TOKEN, b""))
    yield seed("submission", 0, *login(b"XOAUTH2 " + token, b"", b"AUTH XOAUTH2 " + base64_of(b"x")))
    yield seed("submission", 0, choosing(CONNECT, 1), *login(b"XOAUTH2 " + token))
    hands = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\nMECH\tSCRAM-SHA-256\nSPID\t1\nDONE\n"
    for said in ([b"OK\t1\tuser=coco@example.test\n"], [b"FAIL\t1\tuser=coco\ttemp\n"], [b"FAIL\t1\tuser=coco\n"],
                 [b"CONT\t1\tcj0x\n", b"OK\t1\tuser=coco\tresp=dj14\n"], [b"OK\t2\n", b"NOTHING\n", b"OK\t1\n"], [b"CONT\t1\t!\n"], [b""]):
        yield seed("submission", DOVECOT, (LOGIN, hands), *[(LOGIN, words) for words in said], *login(b"PLAIN " + plain, plain, b""), OWN_MAIL)
        yield seed("submission", DOVECOT, (LOGIN, hands), *[(LOGIN, words) for words in said], *login(b"LOGIN", b"=", b"*"))
    yield seed("submission", DOVECOT, (LOGIN, b"VERSION\t2\t1\n"), *login(b"PLAIN " + plain))
    yield seed("implicit", 0, b"\x16", HELLO + b"AUTH PLAIN " + plain + b"\r\n", early=True)
    yield seed("implicit", 0, b"plain\r\n", early=True)
    yield seed("submission", 0, choosing(HANDSHAKE, 1), HELLO, b"STARTTLS\r\n", HELLO)
    yield seed("internal", 0, *login(b"PLAIN " + plain, b"MAIL FROM:<coco@example.test> HOLDFOR=60 REQUIRETLS AUTH=<>\r\n", b"RCPT TO:<b@example.net>\r\n", DATA, MESSAGE))
    yield seed("internal", 0, *login(b"PLAIN " + plain), b"MAIL FROM:<coco@example.test> HOLDUNTIL=2027-01-15T08:30:00Z\r\n")


def milters():
    transaction = [HELLO, MAIL + DATA, MESSAGE, b"QUIT\r\n"]
    agreed = b"O" + struct.pack(">III", 6, 0x1ff, 0)
    changes = [b"hX-Added\0one\0", b"i\0\0\0\1X-Inserted\0two\0", b"m\0\0\0\1Subject\0other\0", b"m\0\0\0\1Subject\0\0", b"eb@example.net\0\0",
               b"+mike@example.test\0", b"2mike@example.test\0NOTIFY=NEVER\0", b"-nobody@example.test\0", b"+<>\0", b"+nobody@example.test\0", b"2mike@example.test\0X=Y\0", b"e<<\0\0", b"eb@example.net\0X=Y\0",
               b"hno name\0x\0", b"i\0\0\0\1\0x\0", b"hX-Lines\0a\n\tb\0", b"b\0", b"ba\rb\nc", b"-coco@example.test\0", b"bnew body\r\n", b"qheld\0", b"p"]
    for verdict in (b"c", b"a", b"r", b"t", b"d", b"y550 5.7.1 no\0", b"y250 yes\0", b"f", b"4", b"s", b"?", b"hX\0y\0"):
        for answered in range(8):
            yield seed("mx", MILTERS | LENIENT, (PACKET, agreed), *[(PACKET, b"c")] * answered, (PACKET, verdict), *transaction)
    ends = b"".join(struct.pack(">I", len(change)) + change for change in changes[:9])
    more = [struct.pack(">I", len(change)) + change for change in changes]
    quietly = b"O" + struct.pack(">III", 6, 0x1ff, 0x1fff80)
    for change in more:
        for chosen in (0, 1, 5):
            yield seed("mx", MILTERS | LENIENT, choosing(ADDRESS, 0, 0, *[chosen] * 3), (PACKET, quietly), (PACKETS, change), (PACKET, b"c"), *transaction)
    for quiet in (0, 0xff080, 0x1fff80):  # no answers but those at the end
        options = b"O" + struct.pack(">III", 6, 0x1ff, quiet)
        for at in range(10):
            yield seed("mx", MILTERS | LENIENT, (PACKET, options), *[(PACKET, b"c")] * at, (PACKETS, ends), (PACKET, b"c"), *transaction)
        yield seed("mx", MILTERS | LENIENT, (PACKET, options), HELLO, b"WHAT is this\r\n" + MAIL + b"RSET\r\n", *transaction[1:])
    named = b"O" + struct.pack(">III", 6, 0x1ff, 0) + b"".join(struct.pack(">I", stage) + b"{if_addr} j i {mail_addr} _\0" for stage in range(7))
    yield seed("mx", MILTERS | LENIENT, (PACKET, named), *transaction)
    yield seed("sendmail", MILTERS | LENIENT, (PACKET, named), *transaction)
    yield seed("mx", MILTERS | LENIENT, (PACKET, b"O" + struct.pack(">III", 2, 0x1ff, 0x7f)), *transaction)
    yield seed("mx", MILTERS | LENIENT, (PACKET, b"O" + struct.pack(">III", 6, 0xffff, 0)), *transaction)
    yield seed("mx", MILTERS | LENIENT, (PACKETS, b"\xff\xff\xff\xffO"), *transaction)
    yield seed("mx", MILTERS | LENIENT, (PACKET, agreed), (PACKETS, b""), *transaction)
    yield seed("mx", MILTERS | LENIENT, (PACKET, agreed), HELLO, MAIL + DATA, b"Subject: x\r\n\r\n", bytes((OFTEN, 255)) + b"x" * 70 + b"\r\n", b".\r\n")
    yield seed("mx", MILTERS | LENIENT, choosing(CONNECT, 1), *transaction)
    large = [MAIL + DATA, b"Subject: x\r\n\r\n", bytes((OFTEN, 255)) + b"line of a large message that goes on and on and on\r\n", b".\r\n"]
    options = b"O" + struct.pack(">III", 6, 0x1ff, 0x1fff80)
    for change in (*changes, b"hX-Long\0" + b"x" * 200 + b"\0"):
        packet = struct.pack(">I", len(change)) + change
        for fault in range(16):
            yield seed("mx", MILTERS | LENIENT | SMALL, choosing(DISK, *[0] * fault, 2), (PACKET, options), (PACKET, options), (PACKETS, packet), (PACKET, b"c"), HELLO, *large)
        for port in ("mx", "submission"):
            begin = [HELLO] if port == "mx" else login(b"PLAIN " + base64_of(b"\0coco\0secret"))
            yield seed(port, MILTERS | LENIENT | SMALL, (PACKET, options), (PACKET, options), (PACKETS, packet), (PACKET, b"c"), *begin, *large)


def policies():
    for action in (b"dunno", b"ok", b"permit", b"reject", b"reject no", b"defer", b"defer_if_permit later", b"451 4.7.1 later", b"550 no", b"prepend X-A: b",
                   b"redirect mike@example.test", b"hold", b"hold why", b"discard", b"discard why", b"warn x", b"info y", b"filter smtp:x", b"bcc mike@example.test",
                   b"421 4.3.2 bye", b"defer_if_reject x", b"permit_auth_destination", b"250 fine", b"x"):
        for dunnos in (0, 1, 2, 3, 4, 5):
            yield seed("mx", POLICY | LENIENT, *[(POLICIES, b"action=dunno\n\n")] * dunnos, (POLICIES, b"x=y\naction=" + action + b"\n\n"), HELLO, MAIL + DATA, MESSAGE)
    for said in (b"", b"\n", b"action=", b"action=dunno\n\nmore", b"a\n" * 40):
        yield seed("mx", POLICY | LENIENT, (POLICIES, said), HELLO, MAIL + DATA, MESSAGE)
    yield seed("submission", POLICY | LENIENT, *login(b"PLAIN " + base64_of(b"\0coco\0secret"), OWN_MAIL + DATA, MESSAGE))


def rules():
    transaction = [HELLO, b"NOOP x\r\nHELP y\r\nVRFY z\r\nEXPN a\r\nWHAT\r\nRSET\r\n", MAIL, DATA, MESSAGE, b"QUIT\r\n"]
    values = [b"word", b"20", b"banner", b"ehlo", b"b@example.net", b"mike@example.test", b"X-Rule: y", b"why"]
    for action, value in enumerate(values):
        for silent in range(14):
            yield seed("mx", RULES | LENIENT, *[(RULE, b"")] * silent, (RULE, bytes((0, action, len(value))) + value), *transaction)
    for code in range(1, 10):
        for silent in range(14):
            yield seed("mx", RULES | LENIENT, *[(RULE, b"")] * silent, (RULE, bytes((code, 0, 0)) + b"words"), *transaction)
    yield seed("mx", RULES, choosing(RULE_ASKED, *[0] * 3, 2), *transaction)
    yield seed("mx", RULES, choosing(RULE_ASKED, 2), *transaction)
    for at in range(8):
        for action, value in ((6, b"no field"), (6, b"X-Rule: y"), (4, b"b@example.net"), (5, b"nobody@example.test")):
            yield seed("mx", RULES | LENIENT, *[(RULE, b"")] * at, *[(RULE, bytes((0, action, len(value))) + value)] * 4, *transaction)
    for at in range(4, 10):
        yield seed("lmtp", RULES | LENIENT, *[(RULE, b"")] * at, (RULE, b"\x08\0\0no"), b"LHLO x\r\n", MAIL + b"RCPT TO:<mike@example.test>\r\n", DATA, MESSAGE)
    yield seed("lmtp", RULES | LENIENT, *[(RULE, b"")] * 9, (RULE, b"\x08\0\0no"), b"LHLO x\r\n", MAIL + b"RCPT TO:<mike@example.test>\r\n", DATA, MESSAGE)


def strangers():
    transaction = [HELLO, MAIL + DATA, MESSAGE, b"QUIT\r\n"]
    for options in (STRANGERS, STRANGERS | LENIENT, STRANGERS | SMALL):
        for question in range(18):
            for chosen in (1, 2, 4, 8, 64, 255):
                yield seed("mx", options, choosing(question, chosen), *transaction)
                yield seed("mx", options, choosing(question, 0, 0, chosen), *transaction)
        for place in range(24):
            for chosen in (64, 129, 131):
                yield seed("mx", options, choosing(DNS, *[0] * place, chosen), *transaction)
                yield seed("submission", options, choosing(DNS, *[0] * place, *[chosen] * 6), *login(b"PLAIN " + base64_of(b"\0coco\0secret"), OWN_MAIL + DATA, MESSAGE))
    for commit in range(1, 4):
        yield seed("mx", LENIENT, choosing(COMMIT, commit), *transaction)
        yield seed("lmtp", LENIENT, choosing(COMMIT, commit), b"LHLO x\r\n", *transaction[1:])
        yield seed("mx", SMALL, choosing(SPOOL, commit), HELLO, MAIL + DATA, b"From: a@example.net\r\n\r\n", bytes((OFTEN, 255)) + b"x" * 80 + b"\r\n", b".\r\n")
        yield seed("mx", SMALL, choosing(SPOOL, commit), HELLO, b"MAIL FROM:<a@example.net> SIZE=200000\r\nRCPT TO:<coco@example.test>\r\n" + DATA, b"From: a@example.net\r\n\r\n", bytes((OFTEN, 255)) + b"x" * 80 + b"\r\n", b".\r\n")
    for before in range(3):
        for chosen in range(1, 16):
            yield seed("mx", 0, choosing(ADDRESS, *[0] * before, chosen), *transaction)
            yield seed("submission", 0, choosing(ADDRESS, *[0] * before, chosen), *login(b"PLAIN " + base64_of(b"\0coco\0secret"), OWN_MAIL + DATA, MESSAGE))
            yield seed("lmtp", LENIENT, choosing(ADDRESS, *[0] * before, chosen), b"LHLO x\r\n", *transaction[1:])
    yield seed("mx", LENIENT, choosing(ADDRESS, 0, 13), HELLO, MAIL + DATA, b"Delivered-To: coco@example.test\r\n\r\nx\r\n.\r\n")
    signed = (b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=x; h=from; bh=AAAA; b=AAAA\r\nFrom: a@example.net\r\n"
              b"Authentication-Results: mail.example.test; dkim=pass\r\nReturn-Path: <x@y>\r\nTLS-Required: No\r\n\r\nx\r\n.\r\n")
    yield seed("mx", 0, HELLO, MAIL + DATA, b"Solicitation: net.example:ADV\r\n\r\nx\r\n.\r\n")
    yield seed("submission", MILTERS, *login(b"PLAIN " + base64_of(b"\0coco\0secret"), OWN_MAIL + DATA, MESSAGE))
    yield seed("submission", MILTERS, *login(b"PLAIN " + base64_of(b"\0coco\0secret"), OWN_MAIL + DATA, b"From: a@example.org\r\n\r\nx\r\n.\r\n"))
    for chosen in range(4):
        yield seed("mx", 0, choosing(DNS, *[chosen] * 40), HELLO, MAIL + DATA, signed)
    often = bytes((OFTEN, 255)) + b"line of a large message that goes on and on and on\r\n"
    for options in (0, SMALL, SMALL | LENIENT, SMALL | MILTERS | LENIENT):
        yield seed("mx", options, HELLO, MAIL + DATA, b"From: a@example.net\r\n\r\n", often, b".\r\nQUIT\r\n")
        yield seed("mx", options, choosing(SPOOL, 1), HELLO, MAIL + DATA, b"From: a@example.net\r\n\r\n", often, b".\r\nQUIT\r\n")
        yield seed("mx", options, HELLO, MAIL + DATA, *[often] * 12, b".\r\nQUIT\r\n")
        yield seed("mx", options, HELLO, MAIL, b"BDAT 100000\r\n", often, b"BDAT 10 LAST\r\n")
    yield seed("mx", LENIENT, (DEAF, HELLO), bytes((OFTEN, 255)) + b"NOOP\r\n")
    yield seed("mx", LENIENT, (DEAF, HELLO), bytes((OFTEN, 255)) + b"NOOP\r\n", (LOSS, b""))
    yield seed("mx", LENIENT, HELLO, *[(SLOW, b"N")] * 200)
    yield seed("mx", 0, HELLO, MAIL + DATA, *[(SLOW, b"N")] * 200)
    yield seed("implicit", 0, (LOSS, b""))
    yield seed("implicit", 0)
    for first in (5, 25, 9):
        yield seed("mx", LENIENT, choosing(ADDRESS, 0, first, 0, 5, 0, 25, 9), HELLO, MAIL + b"RCPT TO:<mike@example.test>\r\nRCPT TO:<coco@example.test>\r\nRCPT TO:<postmaster>\r\n" + DATA,
                   b"Delivered-To: coco@example.test\r\n\r\nx\r\n.\r\n")
    yield seed("mx", 0, HELLO, MAIL + DATA, bytes((OFTEN, 255)) + b"X-Many: " + b"y" * 122 + b"\r\n", b"\r\n.\r\n")
    yield seed("mx", MILTERS | LENIENT, HELLO, MAIL + DATA, bytes((OFTEN, 240)) + b"X-Many: " + b"y" * 122 + b"\r\n", b"\r\nx\r\n.\r\n")
    yield seed("mx", 0, HELLO, MAIL + DATA, b"no field\r\nFrom: a@example.net\r\n\r\nx\r\n.\r\n")
    yield seed("mx", STRANGERS, HELLO, MAIL + DATA, MESSAGE, (MAIL + DATA), MESSAGE, MAIL, b"RCPT TO:<x@example.test>\r\n" * 5)
    yield seed("mx", 0, HELLO, b"MAIL FROM:<>\r\n", bytes((OFTEN, 20)) + b"RCPT TO:<coco@example.test>\r\n")
    yield seed("submission", MILTERS, *login(b"PLAIN " + base64_of(b"\0coco\0secret"), b"MAIL FROM:<coco@example.test>\r\nRCPT TO:<b@nowhere.example>\r\n"))
    yield seed("submission", 0, choosing(MAY_SEND, 1, 2), *login(b"PLAIN " + base64_of(b"\0coco\0secret"), b"MAIL FROM:<mike@example.test>\r\n", OWN_MAIL + DATA, b"From: eve@example.test\r\n\r\nx\r\n.\r\n"))
    for author in (b"eve@example.test", b"<<", b"a@example.net, b@example.net"):
        for chosen in (0, 1, 2):
            yield seed("submission", MILTERS, choosing(MAY_SEND, 0, chosen, chosen), *login(b"PLAIN " + base64_of(b"\0coco\0secret"), OWN_MAIL + DATA, b"From: " + author + b"\r\n\r\nx\r\n.\r\n"))
    yield seed("submission", 0, HELLO + MAIL)
    yield seed("internal", 0, HELLO + MAIL)
    yield seed("mx", 0, b"EHLO nowhere\r\nMAIL FROM:<a@nowhere.example>\r\n")
    yield seed("mx", 0, HELLO, b"MAIL FROM:<a@nowhere.example>\r\nMAIL FROM:<coco@example.test>\r\n")
    for fault in range(6):
        for reason in (1, 2):
            yield seed("mx", SMALL, choosing(DISK, *[0] * fault, reason), HELLO, MAIL + DATA, b"From: a@example.net\r\n\r\n", often, often, b".\r\nQUIT\r\n")
    yield seed("mx", LENIENT, HELLO, MAIL + DATA, *[bytes((OFTEN, 255)) + b"x" * 150 + b"\r\n"] * 3)
    yield seed("mx", SMALL | LENIENT, HELLO, (STOP, b"NOOP\r\n" * 40))
    for last in ((SILENCE, b""), (LOSS, b""), (STOP, b"NOOP\r\n")):
        for said in range(5):
            yield seed("mx", SMALL | LENIENT, *[HELLO, MAIL, DATA, b"Subject: x\r\n\r\n"][:said], last, b"NOOP\r\n" * 70, last)
        yield seed("mx", SMALL | LENIENT, HELLO, MAIL, b"BDAT 10\r\nab", last, last, b"x")
        yield seed("lmtp", SMALL | LENIENT, b"LHLO x\r\n", last)
        yield seed("submission", SMALL, *login(b"LOGIN", base64_of(b"coco")), last)
    yield seed("mx", LENIENT | MILTERS, HELLO, b"MAIL FROM:<a@b.net> BODY=BINARYMIME SIZE=3 RET=HDRS ENVID=x SMTPUTF8 SOLICIT=net.example:ADV\r\n"
               b"RCPT TO:<coco@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y\r\nBDAT 3 LAST\r\n\0\r\n")
    yield seed("sendmail", SMALL, HELLO, OWN_MAIL + DATA, MESSAGE)
    for words in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"EHLO early\r\n"):
        yield seed("mx", 0, words, early=True)
        yield seed("mx", 0, HELLO, words)
    for header in (PROXY, b"PROXY UNKNOWN\r\n", b"PROXY TCP4 198.51.100.1 192.0.2.2 1 25\r\n", b"PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n", b"nonsense\r\n"):
        yield seed("proxy", RULES, header, HELLO + b"STARTTLS\r\n", *transaction, early=True)
        yield seed("proxy", 0, choosing(OPEN, 0x40), header, HELLO, b"STARTTLS\r\n", HELLO, *transaction, early=True)
        yield seed("proxy", 0, choosing(OPEN, 0xf0), header[:9], (EAGER, header[9:]), *transaction, early=True)
    yield seed("proxy", 0)
    for words in (b"ADDR=192.0.2.9 NAME=x.example.net PORT=9 PROTO=ESMTP HELO=y LOGIN=coco@example.test DESTADDR=192.0.2.3 DESTPORT=25", b"NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE]",
                  b"ADDR=IPV6:2001:db8::7", b"PORT=x", b"ADDR=x", b"PROTO=X", b"HELO=a+20b", b"X=y", b"NAME=", b""):
        yield seed("filter", MILTERS | POLICY | RULES, b"XCLIENT " + words + b"\r\n", *transaction)
        yield seed("filter", STRANGERS, choosing(OPEN, 0, 1), HELLO + b"XCLIENT " + words + b"\r\n", *transaction)


def session_seeds():
    for path in sorted(glob.glob(os.path.join(HERE, "../session/*.smtp"))):
        yield from of_dialogue(path)
    for group in (logins, milters, policies, rules, strangers):
        yield from group()


STAGES = ("proxy", "connect", "ehlo", "starttls", "auth", "mail_from", "rcpt_to", "data", "headers", "message", "rset", "vrfy",
          "expn", "help", "noop", "unknown", "quit", "disconnect", "client_lookup")


def rule_seeds():
    yield bytes((6,)) + b"SELECT NULL\0\xff\xff\xff\xff\xff"
    paths = glob.glob(os.path.join(HERE, "../session/rules/*.sql")) + glob.glob(os.path.join(HERE, "../../etc/rules/examples/*.sql"))
    for path in sorted(paths):
        with open(path, "rb") as file:
            yield bytes((STAGES.index(os.path.basename(path).split(".")[0]),)) + file.read() + b"\0" + b"".join(
                bytes((fact,)) + piece(words) for fact, words in ((0, b"192.0.2.1"), (2, b"192.0.2.1"), (4, b"25"), (16, b"'; --\xff\0")))
    with open(os.path.join(HERE, "../unit/test_sql_rules.c"), encoding="utf-8") as file:
        for words in re.findall(r'"((?:[^"\\\n]|\\.)+)"', file.read()):
            for stage in ("connect", "rcpt_to", "message", "client_lookup"):
                yield bytes((STAGES.index(stage),)) + codecs.escape_decode(words.encode())[0] + b"\0\2\x09192.0.2.1\0\x09192.0.2.1"


SEEDS = {"session": session_seeds, "rules": rule_seeds}


def write_seeds(target, folder):
    for number, content in enumerate(SEEDS.get(target, tuple)()):
        with open(os.path.join(folder, f"seed-{number}"), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    write_seeds(*sys.argv[1:])
