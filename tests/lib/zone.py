"""The DNS names that every instance's own server knows; a test adds its own with Instance(zone={...})."""


def default_zone(host="127.0.0.1"):
    return {
        "example.test": [{"MX": [10, "mail.example.test"]}, {"A": host}],
        "mail.example.test": [{"A": host}],
        "client.example.net": [{"A": host}],
        "example.net": [{"MX": [10, "client.example.net"]}],
        "1.0.0.127.in-addr.arpa": [{"PTR": "client.example.net"}],
        # Remote domains whose mail exchanger is on this machine, at the configuration's remote_smtp_port.
        "remote.test": [{"MX": [10, "mx.remote.test"]}],
        "mx.remote.test": [{"A": host}],
        "other.test": [{"MX": [10, "mx.other.test"]}],
        "mx.other.test": [{"A": host}],
        "address-only.test": [{"A": host}],
        # Faults. nxdomain.example stands for every name that is not here.
        "nullmx.example": [{"MX": [0, "."]}],
        "noaddress.example": [{"TXT": "no mail exchanger, no address"}],
        "servfail.example": ["SERVFAIL"],
        "timeout.example": ["TIMEOUT"],
        "deadmx.example": [{"MX": [10, "gone.deadmx.example"]}],
        "alias.example": [{"CNAME": "example.net"}],
    }
