#!/usr/bin/python3
"""A DNS server for tests, on UDP and TCP, that also fails on demand.

A zone is {name: [record, ...]}; names without final dot, any case. A record is
  {"TYPE": data}    A AAAA MX TXT CNAME PTR NS SRV TLSA SOA
                    MX [preference, host]; TXT "text" or ["piece", ...]; SRV [priority, weight, port, host];
                    TLSA [usage, selector, match, "hex"]; data may also be one of the words below, or "NONE" (no such
                    record, the name exists)
  "TIMEOUT"         every type of the name that is not listed otherwise is never answered
  "SERVFAIL" "REFUSED" "FORMERR" "NXDOMAIN"    that result for every type not listed
  "TC"              over UDP the answer is truncated, so that the client comes again over TCP
  "AD"              answers are marked as validated by DNSSEC
  "DELAY:0.5"       seconds before the answer
A name that is missing gives NXDOMAIN, or an empty answer when a longer name exists. "*.x" are wildcards.

  dns_server.py --listen 127.0.0.1:5353 --zone zone.json [--log queries.log]

The zone file is read again whenever it changes.
"""
import argparse
import json
import os
import socket
import struct
import threading
import time

TYPES = dict(A=1, NS=2, CNAME=5, SOA=6, PTR=12, MX=15, TXT=16, AAAA=28, SRV=33, TLSA=52, ANY=255)
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RESULTS = dict(NOERROR=0, FORMERR=1, SERVFAIL=2, NXDOMAIN=3, REFUSED=5)
FAULTS = {"TIMEOUT", "SERVFAIL", "REFUSED", "FORMERR", "NXDOMAIN"}
TIME_TO_LIVE = 1


def encode_name(name):
    wire = b""
    for label in name.rstrip(".").split("."):
        data = label.encode("utf-8", "surrogateescape")
        if data:
            wire += bytes([len(data)]) + data
    return wire + b"\0"


def decode_name(packet, offset):
    labels = []
    while packet[offset]:
        length = packet[offset]
        if length >= 0xC0:
            raise ValueError("a compressed question")
        labels.append(packet[offset + 1:offset + 1 + length].decode("utf-8", "surrogateescape"))
        offset += 1 + length
    return ".".join(labels), offset + 1


def encode_text(value):
    wire = b""
    for piece in [value] if isinstance(value, str) else value:
        data = piece.encode("utf-8", "surrogateescape")
        for start in range(0, max(len(data), 1), 255):
            wire += bytes([len(data[start:start + 255])]) + data[start:start + 255]
    return wire


ENCODERS = {
    "A": socket.inet_aton,
    "AAAA": lambda value: socket.inet_pton(socket.AF_INET6, value),
    "CNAME": encode_name, "PTR": encode_name, "NS": encode_name,
    "MX": lambda value: struct.pack("!H", int(value[0])) + encode_name(value[1]),
    "SRV": lambda value: struct.pack("!HHH", *map(int, value[:3])) + encode_name(value[3]),
    "TLSA": lambda value: bytes(map(int, value[:3])) + bytes.fromhex(value[3]),
    "TXT": encode_text,
    "SOA": lambda value: encode_name("ns.invalid") + encode_name("root.invalid") + struct.pack("!5I", 1, 3600, 600, 86400, 1),
}


class Question:
    """A query's first question, and what the client said about itself."""

    def __init__(self, packet):
        self.id, self.flags, count = struct.unpack("!HHH", packet[:6])
        if self.flags & 0x8000 or count != 1:
            raise ValueError("no query with one question")
        self.name, end = decode_name(packet, 12)
        number = struct.unpack("!H", packet[end:end + 2])[0]
        self.number, self.type = number, TYPE_NAMES.get(number, str(number))
        self.wire = packet[12:end + 4]
        self.edns = struct.unpack("!H", packet[10:12])[0] > 0


class DnsServer:
    """DnsServer(zone).start() gives .port; .zone may be replaced at any time; .queries lists (name, type, transport)."""

    def __init__(self, zone=None, host="127.0.0.1", port=0, log=None):
        self.host, self.port, self.log, self.queries = host, port, log, []
        self.sockets = []
        self.zone = {}
        self.set_zone(zone or {})

    def set_zone(self, zone):
        self.zone = {name.lower().rstrip("."): list(records) for name, records in zone.items()}

    def find(self, name):
        """The name's records; [] when it only has longer names below it; None when it does not exist."""
        if name in self.zone:
            return self.zone[name]
        labels = name.split(".")
        for cut in range(1, len(labels)):
            parent = ".".join(labels[cut:])
            if "*." + parent in self.zone:
                return self.zone["*." + parent]
            if parent in self.zone:
                break
        return [] if any(other.endswith("." + name) for other in self.zone) else None

    def resolve(self, question):
        """(records, result, words): follows aliases; result None means that no answer is sent."""
        answers, words, name, seen = [], set(), question.name.lower(), set()
        while True:
            records = self.find(name)
            if records is None:
                return answers, "NXDOMAIN", words
            here = [record for record in records if isinstance(record, str)]
            words.update(here)
            for word in here:
                if word.startswith("DELAY:"):
                    time.sleep(float(word[6:]))
            typed = [record for record in records if isinstance(record, dict)]
            found = [record[question.type] for record in typed if question.type in record]
            fault = [value for value in found or here if isinstance(value, str) and value in FAULTS]
            if fault:
                return answers, None if fault[0] == "TIMEOUT" else fault[0], words
            found = [value for value in found if value != "NONE"]
            alias = [record["CNAME"] for record in typed if "CNAME" in record and question.type != "CNAME"]
            answers += [(name, question.number, ENCODERS[question.type](value)) for value in found]
            if found or not alias or name in seen:
                return answers, "NOERROR", words
            answers.append((name, TYPES["CNAME"], encode_name(alias[0])))
            seen.add(name)
            name = alias[0].lower().rstrip(".")

    def answer(self, packet, tcp):
        """The bytes to send back, or None."""
        question = Question(packet)
        self.queries.append((question.name, question.type, "tcp" if tcp else "udp"))
        if self.log:
            print(f"{time.time():.3f} {question.name} {question.type} {'tcp' if tcp else 'udp'}", file=self.log, flush=True)
        answers, result, words = self.resolve(question)
        if result is None:
            return None
        truncated = "TC" in words and not tcp
        return self.assemble(question, [] if truncated else answers, result, "AD" in words, truncated, tcp)

    def assemble(self, question, answers, result, validated, truncated, tcp):
        body = b"".join(encode_name(name) + struct.pack("!HHIH", number, 1, TIME_TO_LIVE, len(data)) + data for name, number, data in answers)
        authority = b""
        if not answers and result in ("NOERROR", "NXDOMAIN") and not truncated:
            data = ENCODERS["SOA"](None)
            authority = b"\0" + struct.pack("!HHIH", TYPES["SOA"], 1, TIME_TO_LIVE, len(data)) + data
        extra = b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0) if question.edns else b""
        flags = 0x8080 | (question.flags & 0x0110) | (0x20 if validated else 0) | RESULTS[result]

        counts = (len(answers), 1 if authority else 0, 1 if extra else 0)
        cut = 0x200 if truncated else 0
        whole = struct.pack("!HHHHHH", question.id, flags | cut, 1, *counts) + question.wire + body + authority + extra
        if not tcp and len(whole) > (4096 if question.edns else 512):
            return struct.pack("!HHHHHH", question.id, flags | 0x200, 1, 0, 0, 0) + question.wire
        return whole

    def serve_udp(self, listener):
        while True:
            try:
                packet, client = listener.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self.serve_packet, args=(listener, packet, client), daemon=True).start()

    def serve_packet(self, listener, packet, client):
        try:
            reply = self.answer(packet, False)
            if reply:
                listener.sendto(reply, client)
        except (ValueError, IndexError, struct.error, OSError):
            pass  # no DNS question, or the server is ending

    def serve_tcp(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_client, args=(client,), daemon=True).start()

    def serve_client(self, client):
        try:
            with client, client.makefile("rb") as stream:
                while True:
                    head = stream.read(2)
                    if len(head) < 2:
                        return
                    reply = self.answer(stream.read(struct.unpack("!H", head)[0]), True)
                    if reply:
                        client.sendall(struct.pack("!H", len(reply)) + reply)
        except (ValueError, IndexError, struct.error, OSError):
            pass

    def bind(self):
        """One port free on both transports."""
        while True:
            tcp = socket.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((self.host, self.port))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind((self.host, tcp.getsockname()[1]))
                return tcp, udp
            except OSError:
                tcp.close()
                udp.close()
                if self.port:
                    raise

    def start(self):
        tcp, udp = self.bind()
        self.port = tcp.getsockname()[1]
        self.sockets = [tcp, udp]
        tcp.listen(64)
        threading.Thread(target=self.serve_udp, args=(udp,), daemon=True).start()
        threading.Thread(target=self.serve_tcp, args=(tcp,), daemon=True).start()
        return self

    def stop(self):
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


class FileServer(DnsServer):
    """Serves a zone file, and looks at each question whether it has changed."""

    def __init__(self, path, host, port, log):
        super().__init__({}, host, port, log)
        self.path, self.stamp = path, None
        self.lock = threading.Lock()

    def answer(self, packet, tcp):
        with self.lock:
            found = os.stat(self.path)
            if (found.st_mtime_ns, found.st_ino) != self.stamp:
                with open(self.path, encoding="utf-8") as stream:
                    self.set_zone(json.load(stream))
                self.stamp = (found.st_mtime_ns, found.st_ino)
        return super().answer(packet, tcp)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:5353")
    parser.add_argument("--zone", required=True)
    parser.add_argument("--log")
    given = parser.parse_args()
    host, port = given.listen.rsplit(":", 1)
    log = open(given.log, "a", encoding="utf-8") if given.log else None
    FileServer(given.zone, host, int(port), log).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
