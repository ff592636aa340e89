#!/usr/bin/perl

# Drives that are full: one, which others stand in for, and all. On file
# systems of their own, which takes the right to mount.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => 'metadata_mirrors = 1;');
my $dir = $t->dir();
my @mounted;

END { system('umount', '-l', $_) for @mounted }

for my $i (1 .. 5) {
    mkdir "$dir/drive$i" or die;
    my $failed = system "mount -t tmpfs -o size=128m none $dir/drive$i 2>/dev/null";
    plan(skip_all => 'nothing can be mounted here') if $failed;
    push @mounted, "$dir/drive$i";
}
$t->run();

sub state_is {
    my ($index, $state) = @_;
    $t->wait_for("drive $index: $state",
        sub { $t->ctl('status')->{drives}[$index]{state} eq $state });
    pass("drive $index is $state");
}

# The reserve is 64 MiB: this leaves nothing.
sub fill  { system("head -c 80M /dev/zero > $dir/drive$_[0]/ballast") == 0 or die }
sub clear { unlink "$dir/drive$_[0]/ballast" or die }

sub put {
    my $r = $t->put("/bkt/$_[0]", body => 'x' x 1_000_000);
    return "$r->{status} " . ($r->{code} // '');
}

is($t->put('/bkt')->{status}, 200, 'a bucket');
is(put('before'), '200 ', 'an object');
fill(2);
state_is(2, 'full');
is(put("beside$_"), '200 ', "others take its place: $_") for 1 .. 3;
fill($_) for 1, 3, 4, 5;
state_is($_, 'full') for 1, 3, 4, 5;
is(put('nowhere'), '507 InsufficientStorage', 'no room');
is($t->get('/bkt/nowhere')->{status}, 404, 'and no half of an object');
is(length $t->get("/bkt/$_")->{body}, 1_000_000, "$_ is read") for qw(before beside1);
clear($_) for 1 .. 5;
state_is($_, 'ok') for 1 .. 5;
is(put('after'), '200 ', 'room again');
is(length $t->get('/bkt/after')->{body}, 1_000_000, 'and read');

$t->done();
