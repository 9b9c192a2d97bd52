"""Programs by other people that read delivery status notifications: what each makes of one. Debian's
libmail-deliverystatus-bounceparser-perl and libsisimai-perl."""
import json
import os
import subprocess
import tempfile

BOUNCE_PARSER = """
use strict; use JSON; use Mail::DeliveryStatus::BounceParser;
local $/; my $mail = <STDIN>;
my $bounce = Mail::DeliveryStatus::BounceParser->new($mail);
my @reports = map { my $r = $_; +{ map { my $v = $r->get($_); chomp $v if defined $v; ($_ => $v) }
    qw(email action status std_reason smtp_code original_recipient final_recipient) } } $bounce->reports;
print encode_json({bounce => $bounce->is_bounce ? 1 : 0, id => $bounce->orig_message_id, reports => \\@reports});
"""
SISIMAI = """
use strict; use JSON; use Sisimai;
my $all = Sisimai->make($ARGV[0], 'delivered' => 1) || [];
print encode_json([map { my $r = $_; +{ recipient => $r->recipient->address, addresser => $r->addresser->address,
    map { ($_ => "" . $r->$_) } qw(action deliverystatus reason diagnosticcode diagnostictype replycode lhost rhost messageid subject) } } @$all]);
"""


def perl(script, *arguments, data=b""):
    done = subprocess.run(["/usr/bin/perl", "-e", script, *arguments], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def bounce_parser(mail):
    """{bounce: 0 or 1, id: of the original message, reports: [{email, action, status, std_reason, …}]}"""
    return perl(BOUNCE_PARSER, data=mail)


def sisimai(mail):
    """[{recipient, action, deliverystatus, reason, diagnosticcode, lhost, rhost, …}]: one for each recipient it understood."""
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(mail)
        file.flush()
        os.chmod(file.name, 0o644)
        return perl(SISIMAI, file.name)
