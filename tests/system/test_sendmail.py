"""The sendmail program under its names, with the options that people's scripts use, and what `make install` puts where."""
import os
import re
import subprocess

import pytest

from lib.instance import Instance
from lib.messages import as_crlf, body_of, message
from lib.place import ROOT, program
from lib.talker import fresh_source
from lib.world import id_of

USAGE = 64


@pytest.mark.parametrize("options", [
    ["-oi"], ["-i", "-odb"], ["-oem", "-oi"], ["-om", "-i"], ["-B8BITMIME", "-i"], ["-B", "7BIT", "-i"], ["-G", "-i"], ["-U", "-oi"], ["-n", "-m", "-i"],
    ["-O", "IgnoreDots=true"], ["-OIgnoreDots=true", "-ODeliveryMode=background"], ["-Ac", "-i"], ["-Am", "-i"], ["-Lcron", "-i"], ["-L", "cron", "-i"],
    ["-d0.1", "-i"], ["-e", "m", "-i"], ["-ep", "-i"], ["-h", "3", "-i"], ["-p", "ESMTP", "-i"], ["-X", "/dev/null", "-i"], ["-bm", "-i"], ["-s", "-i"],
    ["-FMike O'Sender", "-i"], ["-r", "mike@example.test", "-i"], ["-v", "-i"]], ids=" ".join)
def test_sendmail_takes_the_options_of_other_sendmails(server, marker, options):
    server.command(*options, "-f", "coco@example.test", "--", "mike@example.test", input=f"Subject: {marker}\n\nOne.\n.\nTwo.\n", name="sendmail")
    assert body_of(as_crlf(server.wait_mail("mike@example.test", marker))) == b"One.\r\n.\r\nTwo.\r\n"


@pytest.mark.parametrize("options, said", [(["-bd"], "parcelpostd"), (["-bt"], "-b takes"), (["-N", "sometimes"], "-N takes"), (["-R", "half"], "-R takes"), (["-k"], "--help")])
def test_sendmail_says_what_it_does_not_do(server, options, said):
    status, output = server.command(*options, "mike@example.test", input="x\n", check=False, name="sendmail")
    assert status == USAGE and said in output, output


@pytest.mark.parametrize("words", [["coco@example.test,mike@example.test"], ["Coco <coco@example.test>, mike"], ["<coco@example.test>", "mike (Mike)"],
                                   ["-f", "Mike <mike@example.test>", "coco,mike"]], ids=" ".join)
def test_sendmail_takes_lists_and_names_as_recipients(server, marker, words):
    """As Debian's cron gives them: all of MAILTO in one word."""
    server.command("-i", *words, input=f"Subject: {marker}\n\nx\n", name="sendmail")
    for user in ("coco", "mike"):
        server.wait_mail(f"{user}@example.test", marker)


DATAERR, NOUSER = 65, 67


@pytest.mark.parametrize("words, text, status", [
    (["a b@example.test"], "x", DATAERR), (["coco@example.test", "<mike@example.test"], "x", DATAERR), (["-f", "a b", "coco"], "x", DATAERR),
    (["-f", "a..b@example.test", "coco"], "x", DATAERR), (["a..b@example.test"], "x", DATAERR), (["coco"], "nul \0", DATAERR), ([""], "x", USAGE),
    (["nobody-of-that-name"], "x", NOUSER)])
def test_sendmail_ends_with_what_scripts_expect(server, words, text, status):
    assert server.command("-i", *words, input=f"Subject: x\n\n{text}\n", check=False, name="sendmail")[0] == status


@pytest.fixture(scope="module")
def waiting():
    """An instance with one message that waits, and the program under its other names."""
    with Instance(route="127.0.0.1:9", settings={"retry_schedule": ["1h"]}) as server:
        with server.talk("internal", fresh_source()) as client:
            client.ehlo()
            server.mail_id = id_of(client.mail("coco@example.test", "friend@remote.test", message("waiting")))
        server.wait_parcels(server.mail_id, "deferred")
        for name in ("mailq", "newaliases"):
            os.symlink(program("sendmail"), server.path(name))
        yield server


def run(server, name, *words):
    done = subprocess.run([server.path(name), "-C", server.configuration, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=server.directory,
                          stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stdout.decode()


def test_mailq_shows_the_queue_and_newaliases_succeeds(waiting):
    listed = waiting.command("queue", "list")
    assert waiting.mail_id in listed and run(waiting, "mailq") == run(waiting, "mailq", "-Ac") == run(waiting, "mailq", "-v") == (0, listed)
    assert run(waiting, "newaliases") == (0, "") and waiting.command("-bi", name="sendmail") == waiting.command("-I", name="sendmail") == ""


def test_sendmail_q_runs_the_queue_or_one_message(waiting):
    def attempts():
        return len(waiting.sql("select 1 from attempts"))
    before = attempts()
    status, _ = waiting.command("-qI" + waiting.mail_id, check=False, name="sendmail")
    assert status == 75 and attempts() == before + 1
    status, _ = waiting.command("-q", check=False, name="sendmail")
    assert status in (0, 75) and attempts() == before + 1, "nothing was due"


def test_make_install_puts_programs_links_pages_and_an_example_that_is_right(tmp_path):
    """Into a folder of its own, with another prefix."""
    build = os.environ.get("BUILD") or "build"
    done = subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt", f"BUILD={build}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()
    there = {os.path.relpath(os.path.join(where, name), tmp_path) for where, _, names in os.walk(tmp_path) for name in names}
    for path in ("opt/sbin/parcelpostd", "opt/sbin/parcelpost-queue", "opt/sbin/sendmail", "opt/bin/parcelpost", "opt/bin/mailq", "opt/bin/newaliases", "opt/lib/sendmail",
                 "opt/lib/sysusers.d/parcelpost.conf", "opt/lib/systemd/system/parcelpost.service", "etc/parcelpost/parcelpost.conf",
                 "opt/share/man/man1/mailq.1", "opt/share/man/man1/newaliases.1", *(f"opt/share/man/man{name[-1]}/{name}" for name in os.listdir(os.path.join(ROOT, "man")) if re.search(r"\.[1-9]$", name))):
        assert path in there, path
    for link in ("opt/bin/mailq", "opt/bin/newaliases", "opt/lib/sendmail"):
        assert os.path.samefile(tmp_path / link, tmp_path / "opt/sbin/sendmail"), link
    assert subprocess.run([tmp_path / "opt/bin/newaliases"], check=False).returncode == 0
    checked = subprocess.run([tmp_path / "opt/sbin/parcelpostd", "-T", "-c", tmp_path / "etc/parcelpost/parcelpost.conf"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert checked.returncode == 0, checked.stdout.decode()
    before = (tmp_path / "etc/parcelpost/parcelpost.conf").read_bytes() + b"# mine\n"
    (tmp_path / "etc/parcelpost/parcelpost.conf").write_bytes(before)
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt", f"BUILD={build}"], cwd=ROOT, check=True)
    assert (tmp_path / "etc/parcelpost/parcelpost.conf").read_bytes() == before, "a configuration that is there stays"
