#!/usr/bin/perl

# Reclaim: what was deleted, overwritten or never finished gives its space
# back to the drives, and whoever reads meanwhile does not notice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5 qw(md5_hex);
use File::Find ();
use Test::More;
use Test::S3;

my $MIB = 1 << 20;

my $t = Test::S3->new(s3d => <<'EOF_CONF')->run();
extent_size = "64M";
reclaim = { interval = "1h"; rate = "10G"; };
scrub = { period = "1d"; rate = "1G"; };
EOF_CONF

# Bytes of all extents, as the file system counts them.
sub stored {
    my $bytes = 0;
    File::Find::find({ no_chdir => 1, wanted => sub {
        my @stat = lstat or return;
        $bytes += 512 * $stat[12] if -f _;
    } }, map { $t->dir() . "/drive$_/extents" } 0 .. 5);
    return $bytes;
}

# A pass from now to its end.
sub reclaim {
    my $pass = $t->ctl(qw(reclaim start))->{pass};
    my $status;
    $t->wait_for("pass $pass", sub {
        $status = $t->ctl(qw(reclaim status));
        return $status->{passes} >= $pass && !$status->{running};
    }, 120);
    return $status;
}

sub pattern {
    my ($seed, $size) = @_;
    my $block = join '', map { pack 'N', $_ * 2654435761 % 4294967296 }
        map { $_ + $seed * 7919 } 1 .. 16384;
    return substr $block x (1 + int($size / length $block)), 0, $size;
}

is($t->put('/bucket')->{status}, 200, 'a bucket');
is($t->put("/bucket/before", body => pattern(1, 3 * $MIB))->{status}, 200,
    'an object that stays');
my $status = reclaim();
is($status->{bytes_removed}, 0, 'nothing is to be reclaimed');
ok($status->{counted}, 'live bytes are known');

# What workers keep open of them, and whether it was unlinked.
sub kept {
    my ($like) = @_;
    return grep { $_ && m{/extents/} && $_ =~ $like }
        map { readlink } map { glob "/proc/$_/fd/*" } $t->workers();
}
$t->wait_for('workers keep extents open', sub {
    $t->get('/bucket/before');
    return kept(qr/./);
});

# --- 200 MB come and go; a slow reader has one of them, another one stays
my $slow_body = pattern(2, 50 * $MIB);
is($t->put('/bucket/slow', body => $slow_body)->{status}, 200, 'slow');
is($t->put('/bucket/moved', body => $slow_body)->{status}, 200, 'moved');
for my $n (1 .. 20) {
    my $r = $t->put("/bucket/n$n", body => pattern($n, 10 * $MIB));
    is($r->{status}, 200, "n$n") if $r->{status} != 200;
}
my $full = stored();
cmp_ok($full, '>', 440 * $MIB, 'the drives have it');

my %slow;
for my $key (qw(slow moved)) {
    my $socket = $slow{$key} = $t->connect();
    $t->write_all($socket, $t->compose('GET', "/bucket/$key"));
    my $buffer = \(${*$socket}{s3_rest} //= '');
    Test::S3::fill($socket, $buffer) until length $$buffer > 100_000;
}
for my $n (1 .. 20) {
    is($t->delete("/bucket/n$n")->{status}, 204, "n$n is deleted")
        if $n % 10 != 0;
}
is($t->put("/bucket/n$_", body => 'short')->{status}, 200, "n$_ is replaced")
    for 10, 20;
is($t->delete('/bucket/slow')->{status}, 204, 'slow is deleted');

$status = reclaim();
cmp_ok($status->{extents_removed}, '>', 0, 'extents are unlinked');
is($status->{blobs_freed}, 20, 'blobs are freed');
is($status->{blobs_being_read}, 1, 'but for the one that is being read');
cmp_ok($status->{write_amplification}, '<=', 0.5, 'not much was moved');
cmp_ok(stored(), '<', $full - 200 * $MIB, 'space has come back');

is($t->get('/bucket/slow')->{status}, 404, 'slow is gone for others');
for my $key (qw(slow moved)) {
    my $r = $t->read_response($slow{$key}, 'GET');
    is(md5_hex($r->{body}), md5_hex($slow_body), "$key: its reader has it all");
    close $slow{$key};
}
$t->wait_for('its space', sub {
    $status = reclaim();
    return $status->{blobs_freed} == 21 && $status->{blobs_being_read} == 0;
});
is($t->delete('/bucket/moved')->{status}, 204, 'moved is deleted');
$status = reclaim();
is($status->{blobs_freed}, 22, 'all are freed');
cmp_ok(stored(), '<', 100 * $MIB, 'all space has come back');
$t->wait_for('workers let go', sub { !kept(qr/ \(deleted\)$/) });
cmp_ok($status->{bytes} - $status->{live_bytes}, '<', 100 * $MIB,
    'as the status says');

# --- abandoned uploads, and a crash
my $socket = $t->connect();
my $half = pattern(3, 20 * $MIB);
$t->write_all($socket, $t->compose('PUT', '/bucket/half', body => $half)
    . substr $half, 0, 15 * $MIB);
$t->wait_for('half an upload', sub { stored() > $status->{bytes} + 10 * $MIB });
$t->stop('s3d', 'KILL');
close $socket;
$t->start_s3d();
my $after = reclaim();
cmp_ok($after->{bytes}, '<=', $status->{bytes}, 'half an upload is found');
cmp_ok($after->{bytes_removed}, '>', 10 * $MIB, 'and unlinked');
my $r = $t->get('/bucket/before');
is(md5_hex($r->{body}), md5_hex(pattern(1, 3 * $MIB)), 'what stays is whole');
is($t->get("/bucket/n$_")->{body}, 'short', "n$_ too") for 10, 20;

# --- for people
my $said = `@{[$t->build()]}/s3ctl -s @{[$t->dir()]}/admin.sock reclaim status`;
like($said, qr/^reclaim      rests, \d+ passes$/m, 'reclaim status');
like($said, qr/^unlinked     \d+ extents, \d+ bytes$/m, 'what was unlinked');

$t->done();
