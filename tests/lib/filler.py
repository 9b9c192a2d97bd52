"""A long queue, made quickly: files in the format of queue/README.md and their rows in one transaction, while no server runs.

    with stopped(server):
        fill(server, mails=100000, recipients=10, domain=lambda number: f"d{number % 100000}.test")

Parcel number n (counted over all mails) goes to domain(n). state: "deferred" (retry_at in the future) or "queued" (due).
"""
import contextlib
import ctypes
import datetime
import os
import sqlite3

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SENDER = "coco@example.test"
HEADERS = b"Received: from filler by mail.example.test; Sun, 22 Nov 2026 01:02:03 +0000\r\n"
REASON = "451 4.4.1 no answer from the server"
FIELDS = ("remote_ip: 127.0.0.1\nremote_name: \nlocal_ip: 127.0.0.1\nrole: internal\nprotocol: ESMTP\nehlo: filler\n"
          f"from_url: {SENDER}\naccount: \ntls: \nmessage_id: \nret: \nenvid: \nverdicts: \nsender_targets: \n")


def base62(number, digits):
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return text


def mail_id(series, number):
    return f"1{base62(series, 5)}-{base62(number, 6)}-Fi"


def utc(offset=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset)).strftime("%Y-%m-%d %H:%M:%S")


def file_text(name, received_at, recipients, body):
    envelope = (f"envelope: 1\nmail_id: {name}\nreceived_at: {received_at}\ncontact_id: 0\nlocal_port: 467\nauto_generated: 0\nbody: 7BIT\n"
                + FIELDS + "".join(f"Q\tremote\t{to}\t{to}\t\t\t\n" for to in recipients)).encode()
    content = body + HEADERS
    sums = [_xxhash.XXH3_64bits(part, len(part)) for part in (content, envelope)]
    return content + envelope + (f"parcelpost-mail-1 message={len(body):012} headers={len(HEADERS):012} envelope={len(envelope):012} "
                                 f"sums={sums[0]:016x} {sums[1]:016x}\n").encode()


@contextlib.contextmanager
def stopped(server):
    """The server halts and starts again behind what is done meanwhile."""
    server.halt()
    yield
    server.launch()


def fill(server, mails, recipients, domain, state="deferred", retry=lambda number: 86400, series=1, size=300):
    """retry: seconds from now of parcel number n. Gives the mail ids."""
    made, lifetime = utc(-7200), utc(4 * 86400)
    body = (f"From: {SENDER}\r\nTo: many\r\nSubject: filler\r\n\r\n" + "x" * size + "\r\n").encode()
    owner = os.stat(os.path.join(server.queue, "mail"))
    tried = state == "deferred"
    rows, parcels, ids = [], [], []
    for number in range(mails):
        name = mail_id(series, number)
        addresses = [f"a@{domain(number * recipients + place)}" for place in range(recipients)]
        path = os.path.join(server.queue, "mail", name)
        with open(path, "wb") as stream:
            stream.write(file_text(name, made, addresses, body))
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, 0o600)
        ids.append(name)
        rows.append((name, made, len(body) + len(HEADERS)))
        for place, address in enumerate(addresses):
            wait = retry(number * recipients + place)
            parcels.append((name, place, address, address, address.partition("@")[2], state, made if tried else None, REASON if tried else "",
                            utc(wait) if wait < 0 else wait, lifetime, 3 if tried else 0, made))
    texts = {wait: utc(wait) for wait in {row[8] for row in parcels} if not isinstance(wait, str)}
    with contextlib.closing(sqlite3.connect(server.database)) as connection, connection:
        connection.executemany("insert into mails (mail_id, place, received_at, size, role, local_port, remote_ip, remote_name, ehlo, from_url, protocol,"
                               " tls, account, verdicts, message_id) values (?, 'file', ?, ?, 'internal', 467, '127.0.0.1', '', 'filler', '" + SENDER
                               + "', 'ESMTP', '', '', '', '')", rows)
        connection.executemany(
            "insert into parcels (mail_id, recipient, from_url, to_url, target, domain, delivery, state, delivery_at, delivery_msg, retry_at,"
            f" expires_at, attempts, created_at, updated_at) values (?, ?, '{SENDER}', ?, ?, ?, 'remote', ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row[:8], texts.get(row[8], row[8]), *row[9:], row[-1]) for row in parcels))
    return ids
