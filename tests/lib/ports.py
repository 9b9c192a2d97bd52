"""Free loopback ports, handed out so that many instances at once never meet.

A port is reserved by a file of its name, made with O_EXCL, in a folder that all users of the machine share; the file
holds the pid that asked. Ports lie below the range the kernel gives to outgoing connections.
"""
import os
import random
import socket
import tempfile
import time

FOLDER = os.path.join(tempfile.gettempdir(), "parcelpost-ports")
FIRST, LAST = 12000, 31999
STALE_SECONDS = 6 * 3600


def _reserve(port):
    path = os.path.join(FOLDER, str(port))
    try:
        if time.time() - os.stat(path).st_mtime > STALE_SECONDS:
            os.unlink(path)
    except OSError:
        pass
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        return True
    except OSError:
        return False


def _is_free(port):
    for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET6, socket.SOCK_STREAM)):
        try:
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        except OSError as problem:
            if family == socket.AF_INET or problem.errno == 98:  # EADDRINUSE; a machine may have no IPv6
                return False
    return True


def take(count=1):
    """count free ports, reserved until give_back."""
    try:
        os.mkdir(FOLDER)
        os.chmod(FOLDER, 0o1777)
    except FileExistsError:
        pass
    taken = []
    while len(taken) < count:
        port = random.randint(FIRST, LAST)
        if _reserve(port):
            if _is_free(port):
                taken.append(port)
            else:
                give_back([port])
    return taken


def give_back(ports):
    for port in ports:
        try:
            os.unlink(os.path.join(FOLDER, str(port)))
        except OSError:
            pass
