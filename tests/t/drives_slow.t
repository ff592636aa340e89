#!/usr/bin/perl

# A drive that hangs: nobody waits for it for long, it is said, and it is in
# use again when it answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;
use Time::HiRes qw(time);

my $slow = 'slow_drives = { hedge_ms = 20; timeout = "1s"; };';
my $t = Test::S3->new(
    s3d => $slow,
    preload => 'hang',
)->run();
my $dir = $t->dir();

# Nothing takes as long as this: the timeout, and room for a busy machine.
my $BOUND = 15;

sub drive {
    my ($index) = @_;
    return $t->ctl('drive', 'list')->{drives}[$index];
}

sub state_is {
    my ($index, $state) = @_;
    $t->wait_for("drive $index: $state", sub { drive($index)->{state} eq $state });
    pass("drive $index is $state");
}

sub hang { $t->write_file('hang', "$dir/drive$_[0]") }
sub release { $t->write_file('hang', '') }

sub timed {
    my ($name, $what) = @_;
    my $began = time();
    my $r = $what->();
    cmp_ok(time() - $began, '<', $BOUND, "$name: in time");
    return $r;
}

my %bodies;
sub put {
    my ($key, $size) = @_;
    my $body = substr join('', map { "$key $_ " } 1 .. $size / 2), 0, $size;
    my $r = timed("PUT $key", sub { $t->put("/bkt/$key", body => $body) });
    $bodies{$key} = $body if $r->{status} == 200;
    return "$r->{status} " . ($r->{code} // '');
}

sub all_readable {
    my ($name) = @_;
    my @bad = timed($name, sub {
        return join ' ', grep {
            my $r = $t->get("/bkt/$_");
            $r->{status} != 200 || $r->{body} ne $bodies{$_};
        } sort keys %bodies;
    });
    is("@bad", '', "$name: every object is read");
}

is($t->put('/bkt')->{status}, 200, 'a bucket');
is(put("before$_", 10 ** (2 + $_)), '200 ', "object $_") for 1 .. 4;
all_readable('well');
# A PUT is answered without the slowest, whose sync may not be waited for: more
# are made until this drive is not the one.
$t->wait_for('syncs are counted', sub {
    return drive(1)->{syncs}{count} > 0 || put('before4', 10 ** 6) ne '200 ';
});
cmp_ok(drive(1)->{syncs}{p95_us}, '>=', drive(1)->{syncs}{median_us}, 'and timed');

# All that reads and writes goes on while one drive hangs, with a mirror of the
# metadata on it.
hang(1);
all_readable('hanging');
is(put("hanging$_", 10 ** (2 + $_)), '200 ', "written meanwhile: $_") for 1 .. 4;
timed('status', sub { $t->ctl('status') });
state_is(1, 'failed');
like(drive(1)->{reason}, qr/does not answer/, 'it is said why');
ok(drive(1)->{silent}, 'and that it still does not');
all_readable('silent');
is(put("silent$_", 10 ** (2 + $_)), '200 ', "written without it: $_") for 1 .. 4;

# It is in use again by itself, and what it missed is healed.
release();
state_is(1, 'ok');
ok(!drive(1)->{silent}, 'it answers');
all_readable('back');
is(put("back$_", 100_000), '200 ', "written with it: $_") for 1 .. 3;
$t->wait_for('three mirrors', sub {
    3 == grep { $_->{state} eq 'member' } @{ $t->ctl('status')->{metadata}{mirrors} };
});
$t->wait_for('healed', sub { $t->ctl('heal', 'status')->{ledger}{queued} == 0 });

$t->done();
