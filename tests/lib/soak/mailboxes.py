"""The mailboxes of a soak: a process that reads every file that appears, tells what it is, and removes it, so that a mailbox never grows."""
import os
import re
import time

from lib.soak.letters import events_of


def take_folder(folder, recipient):
    """Events of a Maildir's files, which are gone afterwards; without a recipient it is what Delivered-To on top says (Postfix)."""
    for name in ("new", "cur"):
        where = os.path.join(folder, name)
        try:
            entries = os.listdir(where)
        except FileNotFoundError:
            continue
        for entry in entries:
            path = os.path.join(where, entry)
            with open(path, "rb") as stream:
                data = stream.read()
            os.unlink(path)
            told = None if recipient else re.search(rb"^Delivered-To: (\S+)\r?$", data, re.M)
            yield from events_of(recipient or (told.group(1).decode() if told else ""), data)


def work(folders, events, stop):
    """folders: [(Maildir, recipient or None), …]. Ends behind a last look once stop is set."""
    last = False
    while not last:
        last = stop.is_set()
        batch = [event for folder, recipient in folders for event in take_folder(folder, recipient)]
        if batch:
            events.put(batch)
        else:
            time.sleep(0.2)
    events.put(None)
