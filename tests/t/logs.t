#!/usr/bin/perl

# What is logged: changes, with who, from where and what came of it; what a
# slow request waited for; never a secret. Files may be moved away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new(preload => 'hang',
    s3d => 'slow_drives = { hedge_ms = 0; timeout = "1s"; }; slow_request_ms = 300;
        change_log = "$dir/changes.log"; audit_log = "$dir/audit.log";');
my $dir = $t->dir();
$t->{s3d} =~ s/\$dir/$dir/g;
$t->run();

sub lines { return map { decode_json($_) } split /\n/, $t->read_file($_[0]) }

# --- changes --------------------------------------------------------------------
sub last_change {
    my ($wanted, $name) = @_;
    my $line = (lines('changes.log'))[-1];
    like(delete $line->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "$name: when");
    my $id = delete $line->{requestId};
    is_deeply($line, $wanted, $name);
    return $id;
}

last_change({ change => 'administration', principal => "uid $<", error => '',
    sourceIp => 'admin socket', operation => 'account.add',
    parameters => { name => 'root', operator => JSON::PP::true } },
    'a command of s3ctl');

my %by_root = (sourceIp => '127.0.0.1', accessKey => $t->{access_key},
    principal => (lines('changes.log'))[0]{principal});
my $r = $t->put('/bkt');
my $arn = (lines('changes.log'))[-1]{principal};
like($arn, qr/^arn:aws:iam::\d{12}:root$/, 'who');
$by_root{principal} = $arn;
my $id = last_change({ %by_root, change => 'bucket', operation => 'CreateBucket',
    target => 'bkt', status => 200, error => '' }, 'a bucket');
is($id, $r->{headers}{'x-amz-request-id'}, 'the request id');

$t->put('/bkt?policy', body => '{"Statement": "s3cr3t"}');
last_change({ %by_root, change => 'bucket', operation => 'PutBucketPolicy',
    target => 'bkt', status => 400, error => 'MalformedPolicy' }, 'one that is refused');
is($t->request('DELETE', '/bkt', sign => 0)->{status}, 403, 'by nobody');
my $line = (lines('changes.log'))[-1];
is("$line->{principal} $line->{operation} $line->{status} $line->{error}",
    'anonymous DeleteBucket 403 AccessDenied', 'is logged');

sub iam {
    return $t->request('POST', '/', service => 'iam', body => $_[0], headers =>
        [ [ 'Content-Type' => 'application/x-www-form-urlencoded' ] ]);
}
is(iam('Action=CreateUser&Version=2010-05-08&UserName=alice')->{status}, 200, 'a user');
last_change({ %by_root, change => 'identity', operation => 'CreateUser',
    target => $arn =~ s/root$/user\/alice/r, status => 200, error => '',
    parameters => { UserName => 'alice' } }, 'a user is made');
$r = iam('Action=CreateAccessKey&Version=2010-05-08&UserName=alice');
my ($secret) = $r->{body} =~ /<SecretAccessKey>(\S+?)</ or die $r->{body};
$line = (lines('changes.log'))[-1];
is($line->{operation}, 'CreateAccessKey', 'its key');
like($r->{body}, qr/<AccessKeyId>\Q$line->{parameters}{AccessKeyId}\E</, 'which one');

my $changes = lines('changes.log');
$t->put('/bkt/key', body => 'x');
$t->get('/bkt?policyStatus');
iam('Action=ListUsers&Version=2010-05-08');
$t->ctl('status');
is(scalar(lines('changes.log')), $changes, 'what only looks, or is of objects, is not');
open my $null, '>&', \*STDERR;
open STDERR, '>', '/dev/null';
ok(!$t->ctl('drive', 'drain', '99'), 'a command that is refused');
open STDERR, '>&', $null;
$line = (lines('changes.log'))[-1];
is("$line->{operation} $line->{parameters}{drive} $line->{error}",
    'drive.drain 99 no such drive: it is a number, from 0', 'says why');
$t->write_file('secret', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n");
chmod 0600, "$dir/secret";
ok($t->ctl('user', 'add', 'bob', '--access-key', 'AKIAIOSFODNN7EXAMPLE',
    '--secret-key-file', "$dir/secret"), 'a key that is given');
is((lines('changes.log'))[-1]{parameters}{access_key}, 'AKIAIOSFODNN7EXAMPLE',
    'its name is logged');

# --- moved away -----------------------------------------------------------------
rename "$dir/$_", "$dir/$_.1" or die for qw(changes.log audit.log s3d.log);
kill 'USR1', $t->{pids}{s3d};
$t->wait_for('new files', sub { -e "$dir/changes.log" && -e "$dir/audit.log" });
is($t->put('/other')->{status}, 200, 'another bucket');
is((lines('changes.log'))[0]{target}, 'other', 'a new file');
is((grep { ($_->{target} // '') eq 'other' } lines('changes.log.1')), 0,
    'the old one is left alone');

# --- a slow request ---------------------------------------------------------------
$t->write_file('hang', "$dir/drive1");
$r = $t->put('/bkt/slow', body => 'x' x 200000);
$t->write_file('hang', '');
$id = $r->{headers}{'x-amz-request-id'};
my ($slow) = grep { ($_->{message} // '') eq 'slow request' && $_->{request} eq $id }
    lines('s3d.log');
ok($slow, 'it has a line') or diag $t->read_file('s3d.log');
is("$slow->{level} $slow->{operation} $slow->{bucket} $slow->{key} $slow->{status}",
    "warn PutObject bkt slow $r->{status}", 'with all about it');
my $phases = $slow->{phases};
cmp_ok($phases->{drive} + $phases->{metadata}, '>', 300_000, 'it waited for the drive');
my $sum = 0;
$sum += $_ for values %$phases;
cmp_ok(abs($sum - $slow->{us}), '<', 1000, 'phases add up to its time');
$t->wait_for('drive 1', sub { $t->ctl('drive', 'list')->{drives}[1]{state} eq 'ok' });
my @slow = grep { ($_->{message} // '') eq 'slow request' } lines('s3d.log.1');
is(scalar(grep { $_->{us} < 300_000 } @slow), 0, 'what is quick has none');

# --- secrets ----------------------------------------------------------------------
my $all = join '', map { $t->read_file($_) }
    qw(s3d.log s3d.log.1 changes.log changes.log.1 audit.log audit.log.1 s3d.out);
is(index($all, $_), -1, 'no secret in any log')
    for $secret, $t->{secret_key}, 'wJalrXUtnFEMI', 's3cr3t';

$t->done();
