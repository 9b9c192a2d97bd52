"""What a peer does wrong with a connection, whatever the protocol: functions of its socket, after which the peer closes it."""
import socket
import struct
import time


def closes(connection):
    pass


def resets(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_silent(connection):
    """Reads on, and never says a word."""
    while connection.recv(65536):
        pass


def reads_no_more(connection):
    """Neither reads nor says anything until the other side has closed: then the kernel answers a byte with a reset."""
    try:
        while True:
            time.sleep(0.2)
            if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1:  # established
                return
    except OSError:
        return


def says(data):
    """This, and goes."""
    return lambda connection: connection.sendall(data)


def says_and_waits(data):
    def act(connection):
        connection.sendall(data)
        is_silent(connection)
    return act


def drips(data):
    """A byte now and then, as long as anybody listens."""
    def act(connection):
        for at in range(len(data)):
            connection.sendall(data[at:at + 1])
            time.sleep(0.2)
        is_silent(connection)
    return act


def floods(data):
    """The same again and again, as long as anybody listens."""
    def act(connection):
        while True:
            connection.sendall(data * 100)
    return act
