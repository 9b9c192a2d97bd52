"""Keys and certificates for tests: made once a build directory with openssl(1), then copied."""
import fcntl
import os
import shutil
import subprocess

from lib.place import BUILD

FOLDER = os.path.join(BUILD, "test-keys")


def _made(name, *commands):
    """The path of a file that these commands make; {} in a command is the path."""
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, name)
    with open(os.path.join(FOLDER, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            for command in commands:
                subprocess.run([word.replace("{}", path + ".new") for word in command], check=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.rename(path + ".new", path)
    return path


KINDS = {"p256": ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "{}"], "rsa": ["openssl", "genrsa", "-out", "{}", "2048"]}


def certificate(folder, name="mail.example.test", kind="p256"):
    """(certificate, key), self-signed for the name, copied into the folder; kind: "p256" or "rsa" (2048 bits)."""
    own = name if kind == "p256" else f"{name}.{kind}"
    key = _made(own + ".key", KINDS[kind])
    chain = _made(own + ".crt", ["openssl", "req", "-x509", "-new", "-key", key, "-days", "3650", "-subj", "/CN=" + name,
                                  "-addext", "subjectAltName=DNS:" + name, "-out", "{}"])
    copies = os.path.join(folder, "certificate.pem"), os.path.join(folder, "private_key.pem")
    for source, copy in zip((chain, key), copies):
        shutil.copyfile(source, copy)
    os.chmod(copies[1], 0o600)
    return copies


def dkim_key(folder):
    """(private key file, TXT record) of a 2048 bit RSA key."""
    private = _made("dkim.key", ["openssl", "genrsa", "-traditional", "-out", "{}", "2048"])
    public = subprocess.run(["openssl", "rsa", "-in", private, "-pubout"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    copy = os.path.join(folder, "dkim.pem")
    shutil.copyfile(private, copy)
    os.chmod(copy, 0o600)
    return copy, "v=DKIM1; k=rsa; p=" + "".join(public.decode("ascii").split("\n")[1:-2])
