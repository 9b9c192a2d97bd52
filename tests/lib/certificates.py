"""Keys and certificates for tests: made once a build directory with openssl(1), then copied."""
import fcntl
import os
import shutil
import subprocess
import time

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


def of_subject(folder, subject):
    """(certificate, key), self-signed for a subject as openssl(1) takes it, made in the folder."""
    chain, key = (os.path.join(folder, end) for end in ("subject.pem", "subject.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", subject,
                    "-keyout", key, "-out", chain], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return chain, key


AUTHORITY = """[ca]
default_ca = own
[own]
new_certs_dir = {0}
database = {0}/index
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:{1}
"""


def timed(folder, name, begins, ends):
    """(certificate, key), self-signed for the name, made in the folder; valid between these times, in seconds from now."""
    key, request, chain, configuration, index = (os.path.join(folder, f"{name}.{end}") for end in ("key", "csr", "pem", "cnf", "index"))
    for path, text in ((configuration, AUTHORITY.format(folder, name).replace("/index", f"/{name}.index")), (index, "")):
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text)
    begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds)) for seconds in (begins, ends))
    for words in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", key, "-out", request],
                  ["ca", "-batch", "-config", configuration, "-selfsign", "-in", request, "-keyfile", key, "-startdate", begin, "-enddate", end,
                   "-out", chain, "-notext"]):
        subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return chain, key


def dkim_key(folder):
    """(private key file, TXT record) of a 2048 bit RSA key."""
    private = _made("dkim.key", ["openssl", "genrsa", "-traditional", "-out", "{}", "2048"])
    public = subprocess.run(["openssl", "rsa", "-in", private, "-pubout"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    copy = os.path.join(folder, "dkim.pem")
    shutil.copyfile(private, copy)
    os.chmod(copy, 0o600)
    return copy, "v=DKIM1; k=rsa; p=" + "".join(public.decode("ascii").split("\n")[1:-2])
