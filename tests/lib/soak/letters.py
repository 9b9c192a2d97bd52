"""What goes through a soak, and the books about it: each letter's bytes are made from its marker, each copy that comes is
compared by its digest, and what is settled leaves nothing behind but a number, so that hours of them fit into memory."""
import collections
import hashlib
import random
import re

from lib.messages import message, odd_body
from lib.traffic import Arrival

KIB = 1024
POOL = odd_body(7, 64 * KIB)
STARTS = [0] + [found.end() for found in re.finditer(rb"\r\n", POOL)][:-1]
# (from, to, how many of a thousand), spread evenly on a logarithmic scale
SIZES = [(1, 16, 860), (16, 128, 110), (128, 1024, 24), (1024, 8 * 1024, 6)]


class Letter:
    """Its bytes on the wire (before dots are doubled), and where it goes: {recipient: "arrives" or "bounces"}."""

    def __init__(self, number, chance, fates, largest=8 * 1024 * KIB):
        self.fates = fates
        self.marker = f"letter-{number}-{chance.getrandbits(48):012x}"
        low, high, _ = chance.choices(SIZES, [row[2] for row in SIZES])[0]
        size = min(int(KIB * low * (high / low) ** chance.random()), largest)
        head = message(self.marker, body="", recipient="everybody@example.test")
        missing, begin = max(size - len(head), 1), chance.choice(STARTS)
        whole = POOL[begin:] if missing < len(POOL) - begin else POOL[begin:] + POOL * (1 + missing // len(POOL))
        end = whole.rfind(b"\r\n", 0, missing + 2)
        body = whole[:2 + (end if end >= 0 else whole.index(b"\r\n"))]
        self.data = head + body
        self.digest = hashlib.sha256(self.data).digest()


def notices_of(data):
    """(action, recipient) of each recipient that a delivery status notification speaks of."""
    for part in re.findall(rb"^Final-Recipient: .*?(?=^\r\n)", data, re.M | re.S):
        who = re.search(rb"^Final-Recipient: rfc822; *(\S+)\r$", part, re.M)
        action = re.search(rb"^Action: (\w+)\r$", part, re.M)
        if who and action:
            yield action.group(1).decode(), who.group(1).decode()


def events_of(recipient, data):
    """What a copy in a mailbox means for the books: ("arrived", marker, recipient, digest), ("bounced", …) or ("warned", …)."""
    data = data if b"\r\n" in data else data.replace(b"\n", b"\r\n")
    arrival = Arrival(recipient, data, 0)
    if not arrival.is_notice:
        return [("arrived", arrival.marker, recipient, bytes.fromhex(arrival.digest))]
    words = {"failed": "bounced", "delayed": "warned"}
    return [(words.get(action, action), arrival.marker, who, None) for action, who in notices_of(data)]


class Books:
    """accepted: its 250 was read; uncertain: its end was sent and no reply read, so it may come or not; never: it was refused."""

    def __init__(self):
        self.open, self.early, self.doubtful, self.done = {}, collections.defaultdict(list), {}, set()
        self.faults, self.counts = [], collections.Counter()

    def accepted(self, marker, digest, fates):
        for recipient, fate in fates.items():
            self.open[marker, recipient] = digest, fate
            self.counts["expected"] += 1
            self.settle((marker, recipient))

    def uncertain(self, marker, digest, fates):
        for recipient, fate in fates.items():
            self.doubtful[marker, recipient] = digest, fate
            self.counts["uncertain"] += 1
            self.settle((marker, recipient))

    def settle(self, key):
        for kind, digest in self.early.pop(key, ()):
            self.event(kind, *key, digest)

    def event(self, kind, marker, recipient, digest):
        key = marker, recipient
        if kind == "warned":
            self.counts[kind] += 1
            return
        if hash(key) in self.done:
            self.faults.append(f"DOUBLED {marker} for {recipient}: {kind} again")
            return
        row = self.open.pop(key, None) or self.doubtful.pop(key, None)
        if row is None:
            self.early[key].append((kind, digest))
            return
        self.done.add(hash(key))
        self.counts[kind] += 1
        if kind != {"arrives": "arrived", "bounces": "bounced"}[row[1]]:
            self.faults.append(f"WRONG END {marker} for {recipient}: {kind}")
        elif kind == "arrived" and digest != row[0]:
            self.faults.append(f"CHANGED {marker} for {recipient}")

    @property
    def outstanding(self):
        return len(self.open)

    def close(self):
        """The faults, once nothing is on its way any more."""
        lost = [f"LOST {marker} for {recipient}, which {fate}" for (marker, recipient), (_, fate) in self.open.items()]
        never = [f"NEVER ACCEPTED {marker} for {recipient}: {found[0][0]}" for (marker, recipient), found in self.early.items()]
        return self.faults + lost + never


def seeded(*words):
    return random.Random(" ".join(map(str, words)))
