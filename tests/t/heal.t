#!/usr/bin/perl

# Scrub and heal: what s3ctl shows and does, and that damage is healed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => <<'EOF_CONF')->run();
scrub = { period = "1d"; rate = "1G"; };
heal = { workers = 2; rate = "1G"; };
EOF_CONF
my $ctl = $t->build() . '/s3ctl -s ' . $t->dir() . '/admin.sock';

sub ctl { return scalar `$ctl $_[0] 2>&1` }
sub status { return decode_json(ctl('--json heal status')) }

sub scrubbed {
    my $passes = status()->{scrub}{passes};
    ctl('scrub start');
    $t->wait_for('a pass', sub { status()->{scrub}{passes} > $passes });
    $t->wait_for('full redundancy', sub { status()->{fully_redundant} });
}

sub rot {
    my ($drive) = @_;
    my $count = 0;
    for my $path (glob $t->dir() . "/drive$drive/extents/*/*") {
        open my $f, '+<', $path or die "$path: $!";
        binmode $f;
        for (my $at = 8192; $at < -s $f; $at += 65536) {
            seek $f, $at, 0;
            read $f, my $byte, 1;
            seek $f, $at, 0;
            print {$f} chr(ord($byte) ^ 0x55);
            $count++;
        }
        close $f;
    }
    return $count;
}

my %objects = (
    small => 'x' x 5000,
    large => join('', map { chr($_ * 7 % 256) x 1000 } 1 .. 3000),
);
is($t->put('/bucket')->{status}, 200, 'a bucket');
for my $key (sort keys %objects) {
    is($t->put("/bucket/$key", body => $objects{$key})->{status}, 200, "$key");
}

sub check_objects {
    my ($name) = @_;
    for my $key (sort keys %objects) {
        my $r = $t->get("/bucket/$key");
        ok($r->{status} == 200 && $r->{body} eq $objects{$key}, "$name: $key");
    }
}

# --- a scrub that finds nothing
scrubbed();
my $status = status();
is($status->{drives_ok}, 6, 'six drives');
is($status->{ledger}{queued}, 0, 'nothing is short');
is($status->{scrub}{last}{shards_bad}, 0, 'nothing was bad');
cmp_ok($status->{scrub}{last}{bytes}, '>=', 1.5 * 3_000_000 + 15000,
    'every byte of every shard was read');
like(ctl('scrub status'), qr/^redundancy   full: proven/, 'people see it');
is(ctl('heal --watch'), '[' . '#' x 40 . "] 0 of 0\n", 'nothing to watch');

# --- rot
cmp_ok(rot(2), '>', 0, 'a drive rots');
check_objects('beside the rot');
scrubbed();
$status = status();
cmp_ok($status->{today}{shards_repaired}, '>=', 1, 'shards were rebuilt');
is($status->{today}{blobs_unreadable}, 0, 'nothing was beyond repair');
like(ctl('heal status'), qr/^today +[1-9]\d* shards bad, [1-9]\d* rebuilt/m,
    'people see what happened');

# --- a drive goes, and a blank one comes
$t->stop('s3d');
system('rm', '-rf', $t->dir() . '/drive5') == 0 or die;
$t->start_s3d();
$t->wait_for('what is short', sub { status()->{ledger}{waiting} > 0 });
$status = status();
ok(!$status->{fully_redundant}, 'it is not called whole');
is($status->{drives_ok}, 5, 'five drives');
like(ctl('heal status'), qr/^redundancy   reduced$/m, 'people see it');
like(ctl('heal status'), qr/^waiting      \d+, for a drive$/m, 'and why');
mkdir $t->dir() . '/drive5' or die;
$t->wait_for('the blank disk', sub { ctl('drive list') =~ /^5 +blank/m });
like(ctl('drive replace 5 --yes'), qr/is in use/, 'it takes the place');
like(ctl('heal --watch'), qr/\] \d+ of \d+/, 'healing is watched');
$t->wait_for('full redundancy', sub { status()->{fully_redundant} });
is(status()->{drives_ok}, 6, 'six drives again');

my $week = decode_json(ctl('--json durability'))->{intervals}[0];
is($week->{days}, 7, 'durability of the last week');
is($week->{seen}{drives_lost}, 1, 'one drive was lost');
cmp_ok($week->{seen}{shards_damaged}, '>=', 1, 'shards were damaged');
cmp_ok($week->{seen}{drive_days}, '>', 0, 'six drives were watched');
is($week->{profiles}[1]{k}, 4, 'large objects are 4+2');
cmp_ok($week->{profiles}[1]{nines}, '>', 1, 'nines of them');
like(ctl('durability'), qr/^  large +4\+2: \d+\.\d nines a year likely; /m,
    'people see them');

# --- any two others go
$t->stop('s3d');
system('rm', '-rf', $t->dir() . '/drive0', $t->dir() . '/drive3') == 0 or die;
$t->start_s3d();
check_objects('without two other drives');

# --- start and stop
like(ctl('scrub stop'), qr/^done/, 'scrub stop');
ok(status()->{scrub}{stopped}, 'it is stopped');
like(ctl('scrub status'), qr/^scrub        stopped/m, 'people see it');
like(ctl('scrub start'), qr/^done/, 'scrub start');
ok(!status()->{scrub}{stopped}, 'it is not stopped');
like(ctl('heal start'), qr/^done/, 'heal start');

$t->done();
