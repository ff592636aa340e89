#!/usr/bin/perl

# The keyring of s3d: s3ctl kms, what survives a restart, and with which
# keyring s3d does not start.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $keyring = $t->dir() . '/keyring';

sub keys_now {
    my $list = $t->ctl(qw(kms key list)) or return;
    return join ' ', map {
        "$_->{name}:$_->{versions}" . ($_->{enabled} ? '' : '!')
    } @{ $list->{keys} };
}

# What s3ctl says without --json, and its exit status.
sub said {
    my $build = Test::S3::build();
    my $socket = $t->dir() . '/admin.sock';
    my $output = `$build/s3ctl -s $socket kms key @_ 2>&1`;
    return ($? >> 8) . " $output";
}

sub refuses_to_start {
    my ($reason, $name) = @_;
    my $pid = $t->spawn('s3d', Test::S3::build() . '/s3d', '-c',
        $t->dir() . '/s3d.conf');
    waitpid $pid, 0;
    is($? >> 8, 1, "$name: s3d does not start");
    like($t->read_file('s3d.log'), $reason, "$name: says why");
}

is((stat $keyring)[2] & 07777, 0600, 'the keyring was made, for s3d alone');
is(keys_now(), ':1', 'with the key of SSE-S3');

# --- commands
is(said(qw(add photos)), "0 done: photos\n", 'add');
is(said(qw(add photos)), "1 s3ctl: the key exists\n", 'add again');
is(said(qw(add SSE-S3)), '1 s3ctl: a name is 1 to 64 of A-Z a-z 0-9 / _ -; '
    . "the key of SSE-S3 can only be rotated\n", 'SSE-S3 is taken');
like(said("add 'a b'"), qr/^1 s3ctl: a name is/, 'a bad name');
is(said(qw(rotate photos)), "0 done: photos\n", 'rotate');
is(said(qw(rotate none)), "1 s3ctl: no such key\n", 'rotate what is not there');
is(said(qw(rotate SSE-S3)), "0 done: SSE-S3\n", 'rotate SSE-S3');
is(keys_now(), ':2 photos:2', 'two versions each');
is(said(qw(disable photos)), "0 done: photos\n", 'disable');
is(keys_now(), ':2 photos:2!', 'disabled');
is(said(qw(disable none)), "1 s3ctl: no such key\n", 'disable what is not there');
like(said(qw(disable SSE-S3)), qr/^1 s3ctl: .*can only be rotated/,
    'SSE-S3 cannot be disabled');
like(said('list'), qr/^0 KEY .*\nSSE-S3 +2  enabled .*\nphotos +2  disabled /,
    'list, for people');
like(said('forget photos'), qr/^2 usage:/, 'no such command');
like(said('add'), qr/^2 usage:/, 'an argument is missing');

# --- restart
is($t->stop('s3d'), 0, 's3d stops');
$t->start_s3d();
is(keys_now(), ':2 photos:2!', 'all is there after a restart');
is(said(qw(enable photos)), "0 done: photos\n", 'enable');
is(keys_now(), ':2 photos:2', 'enabled');

# --- a keyring that is lost, replaced, open to others, damaged
is($t->stop('s3d'), 0, 's3d stops');
rename $keyring, "$keyring.kept" or die $!;
refuses_to_start(qr/keyring is missing/, 'without the keyring');
ok(!-e $keyring, 'and no other one is made');

my $other = Test::S3->new()->run();
$other->stop($_) for qw(nginx s3d);
rename $other->dir() . '/keyring', $keyring or die $!;
refuses_to_start(qr/is not the keyring of this metadata/, 'with another one');

rename "$keyring.kept", $keyring or die $!;
chmod 0640, $keyring;
refuses_to_start(qr/by nobody else/, 'with one that others may read');
chmod 0600, $keyring;
my $bytes = $t->read_file('keyring');
(my $damaged = $bytes) =~ s/photos/photoz/;
$t->write_file('keyring', $damaged);
chmod 0600, $keyring;
refuses_to_start(qr/not a keyring, or it is damaged/, 'with a damaged one');
$t->write_file('keyring', $bytes);
chmod 0600, $keyring;
$t->start_s3d();
is(keys_now(), ':2 photos:2', 'the kept one is good');

# --- Vault: only addresses where a token is not given away
is($t->stop('s3d'), 0, 's3d stops');
$t->{s3d} = 'vault = { url = "http://vault.example.com"; token_file = "/t"; };';
$t->write_file('s3d.conf', $t->s3d_conf());
refuses_to_start(qr/vault: url must be https/, 'Vault in the clear');
$t->{s3d} = 'vault = { url = "https://vault.example.com"; token_file = "/t"; };';
$t->start_s3d();
is(said(qw(add more)),
    "1 s3ctl: Vault holds the keys of SSE-KMS: make it there\n",
    'with Vault, keys are made there');
is(said(qw(rotate SSE-S3)), "0 done: SSE-S3\n", 'SSE-S3 still has the keyring');
like($t->read_file('s3d.log'), qr/admin: kms.key.rotate/, 'rotations are logged');

$t->done();
