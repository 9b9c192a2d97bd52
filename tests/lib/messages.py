"""Messages to send: plain ones with a marker, and big, odd, 8-bit ones made from a seed."""
import random


def message(marker="", body="Hello.\r\n", sender="coco@example.test", recipient="mike@example.test", subject="a test", fields=""):
    """A small message with everything a message should have; the marker stands in its own field."""
    return (f"Date: Sun, 22 Nov 2026 01:02:03 +0000\r\nFrom: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{marker or 'test'}@client.example.net>\r\nX-Marker: {marker}\r\n{fields}\r\n{body}").encode("utf-8", "surrogateescape")


def odd_body(seed, size):
    """About `size` bytes of lines that trouble careless servers: dots, 8-bit, long lines, blanks at the end, "From "."""
    chance = random.Random(seed)
    lines, length = [], 0
    while length < size:
        kind = chance.randrange(8)
        if kind == 0:
            line = b"." * chance.randrange(1, 5)
        elif kind == 1:
            line = b"." + chance.randbytes(8).hex().encode()
        elif kind == 2:
            line = bytes(chance.choices(range(0x80, 0x100), k=chance.randrange(1, 200)))
        elif kind == 3:
            line = b"x" * min(998, max(size - length, 1))
        elif kind == 4:
            line = b"From the start, with blanks at the end  \t"
        elif kind == 5:
            line = b""
        else:
            line = chance.randbytes(chance.randrange(1, 38)).hex().encode()
        lines.append(line)
        length += len(line) + 2
    return b"\r\n".join(lines) + b"\r\n"


def odd_message(marker, seed, size, sender="coco@example.test"):
    head = message(marker, body="", sender=sender, recipient="everybody@example.test")
    return head + odd_body(seed, max(size - len(head), 1))


def body_of(data):
    """What stands behind the first empty line."""
    return data.partition(b"\r\n\r\n")[2] if b"\r\n\r\n" in data else data.partition(b"\n\n")[2]


def as_crlf(data):
    """Maildir files may have LF line ends; on the wire it is CRLF."""
    return data if b"\r\n" in data else data.replace(b"\n", b"\r\n")
