#!/usr/bin/perl

# The life of drives: one is drained while requests go on, and removed; others
# are added and get their share; one that is lost is removed by force.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => <<'EOF_CONF')->run();
extent_size = "64M";
rebalance = { band = 10; rate = "10G"; };
EOF_CONF
my $dir = $t->dir();

sub drive {
    my ($index) = @_;
    return $t->ctl('status')->{drives}[$index];
}

my (%bodies, $count);
sub put {
    my ($size) = @_;
    my $key = 'k' . ++$count;
    my $body = join '', map { chr(ord('a') + ($_ * $count) % 26) } 1 .. 997;
    $bodies{$key} = substr $body x ($size / 997 + 1), 0, $size;
    my $r = $t->put("/bkt/$key", body => $bodies{$key});
    is("$r->{status} $key", "200 $key", 'put') if $r->{status} != 200;
}

sub all_readable {
    my ($name) = @_;
    my @bad = grep {
        my $r = $t->get("/bkt/$_");
        $r->{status} != 200 || $r->{body} ne $bodies{$_};
    } sort keys %bodies;
    is("@bad", '', "$name: every object is read");
}

sub refused {
    my ($like, $name, @words) = @_;
    my $text = join ' ', $t->build() . '/s3ctl', '-s', "$dir/admin.sock", @words;
    my $out = `$text 2>&1`;
    is($? >> 8, 1, "$name: refused");
    like($out, $like, $name);
}

sub shown {
    my $text = join ' ', $t->build() . '/s3ctl', '-s', "$dir/admin.sock", @_;
    return `$text`;
}

sub restart {
    is($t->stop('s3d'), 0, 's3d stops');
    $t->start_s3d();
}

is($t->put('/bkt')->{status}, 200, 'a bucket');
put($_) for map { 30_000 * $_, 300_000 * $_ + 7 } 1 .. 6;

# Small objects go to other drives, wide ones are coded anew for the five that
# are left; after a restart it goes on, and requests do all the time.
refused(qr/in use: s3ctl drive drain/, 'it is in use', qw(drive remove 1));
my $drained = $t->ctl(qw(drive drain 1));
ok(!$drained->{drive}{drain}{empty}, 'not empty at once');
restart();
$t->wait_for('drained', sub {
    put(200_000);
    return drive(1)->{drain}{empty};
});
is(drive(1)->{state}, 'draining', 'still draining, and empty');
is(drive(1)->{drain}{stuck_shards}, 0, 'nothing is stuck');
like(shown(qw(drive list)), qr/it is empty: s3ctl drive remove 1/,
    'people are told');
my $r = $t->ctl(qw(drive remove 1));
ok($r->{removed}, 'removed');
is(drive(1)->{state}, 'removed', 'as shown');
rename "$dir/drive1", "$dir/away" or die;
all_readable('removed');
refused(qr/not in the cluster/, 'no way back', qw(drive use 1));

# The number stays taken, however the configuration says so.
restart();
is(drive(1)->{state}, 'removed', 'with its path still configured');
$t->{removed}{1} = 1;
restart();
is(drive(1)->{state}, 'removed', 'with its place kept');
$t->wait_for('three mirrors of the metadata', sub {
    my @mirrors = @{ $t->ctl('status')->{metadata}{mirrors} };
    return 3 == grep { $_->{state} eq 'member' } @mirrors;
});
unlike(join(' ', map { $_->{directory} }
    @{ $t->ctl('status')->{metadata}{mirrors} }), qr/drive1/, 'on others');
is($t->ctl(qw(heal status))->{drives}, 5, 'it does not count');
put(400_000) for 1 .. 3;
all_readable('without it');

# What the configuration alone says is refused.
sub does_not_start {
    my ($like, $name) = @_;
    is($t->stop('s3d'), 0, 's3d stops');
    $t->write_file('s3d.conf', $t->s3d_conf());
    system $t->build() . '/s3d', '-c', "$dir/s3d.conf";
    is($? >> 8, 1, "$name: s3d does not start");
    like($t->read_file('s3d.log'), $like, $name);
}
$t->{removed}{3} = 1;
does_not_start(qr/drive 3 is removed in the configuration, but not in the/,
    'removed by hand');
delete $t->{removed}{3};
$t->start_s3d();
$t->{drives} = 5;
does_not_start(qr/the cluster has a drive 5, but the configuration names only/,
    'too few entries');

# A new drive gets its share.
$t->{drives} = 7;
$t->start_s3d();
is(drive(6)->{state}, 'ok', 'a new drive');
my $status;
$t->wait_for('even levels', sub {
    $status = $t->ctl(qw(rebalance status));
    my $pass = $status->{state} eq 'even' ? undef
        : $t->ctl(qw(rebalance start))->{pass};
    return defined $pass ? 0 : $status->{drives}[5]{live_bytes} > 0;
});
is($status->{drives}[5]{index}, 6, 'the last one is the new one');
for my $d (@{ $status->{drives} }) {
    my $off = abs($d->{level} / $status->{mean} - 1);
    cmp_ok($off, '<=', 0.10, "level of drive $d->{index} is within the band");
}
cmp_ok($status->{bytes_moved}, '>', 0, 'by moving');
all_readable('rebalanced');
$t->ctl(qw(rebalance stop));
is($t->ctl(qw(rebalance status))->{state}, 'stopped', 'stopped');

# One that is lost, before its shards are made anew on others.
my $conf = $t->{s3d};
$t->{s3d} = "$conf heal = { workers = 0; };";
restart();
rename "$dir/drive2", "$dir/lost" or die;
$t->wait_for('missing', sub { drive(2)->{state} eq 'missing' });
$t->ctl(qw(reclaim start));
$t->wait_for('count', sub { $t->ctl(qw(reclaim status))->{counted} });
refused(qr/still holds shards/, 'a lost drive', qw(drive remove 2));
$r = $t->ctl(qw(drive remove 2 --force));
ok(!$r->{removed}, 'without --yes nothing happens');
cmp_ok($r->{blobs}, '>', 0, 'but it is said what would');
is(drive(2)->{state}, 'missing', 'it is still missing');
$r = $t->ctl(qw(drive remove 2 --force --yes));
ok($r->{removed}, 'removed by force');
rename "$dir/lost", "$dir/drive2" or die;
all_readable('removed by force');
$t->{s3d} = $conf;
restart();
$t->wait_for('healed', sub {
    my $h = $t->ctl(qw(heal status));
    return $h->{drives_ok} == 5 && $h->{ledger}{queued} == 0
        && $h->{today}{shards_repaired} > 0;
});
is(drive(2)->{state}, 'removed', 'the disk is not accepted again');

$t->done();
