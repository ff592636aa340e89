#!/usr/bin/perl

# Drives that go, come back, are swapped, replaced, drained and full.

use strict;
use warnings;

use File::Path qw(remove_tree make_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

# The metadata are on drive 0 only, which stays.
my $t = Test::S3->new(s3d => 'metadata_mirrors = 1;')->run();
my $dir = $t->dir();
my $r;

sub drive {
    my ($index) = @_;
    return $t->ctl('status')->{drives}[$index];
}

sub state_is {
    my ($index, $state) = @_;
    $t->wait_for("drive $index: $state", sub { drive($index)->{state} eq $state });
    pass("drive $index is $state");
}

my %bodies;
sub put {
    my ($key, $size) = @_;
    my $body = join '', map { chr(ord('a') + ($_ + length $key) % 26) } 1 .. 1000;
    $body = substr $body x ($size / 1000 + 1), 0, $size;
    $r = $t->put("/bkt/$key", body => $body);
    $bodies{$key} = $body if $r->{status} == 200;
    return $r->{status} . ' ' . ($r->{code} // '');
}

sub all_readable {
    my ($name) = @_;
    my @bad = grep {
        $r = $t->get("/bkt/$_");
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

is($t->put('/bkt')->{status}, 200, 'a bucket');
is(put("before$_", 300_000 * $_ + 10), '200 ', "object $_") for 0 .. 4;

# One that goes and comes back while s3d serves. No request tells: it is
# looked for.
my $since = drive(1)->{since};
rename "$dir/drive1", "$dir/away" or die;
state_is(1, 'missing');
cmp_ok(drive(1)->{since}, '>', $since, 'since when');
like(drive(1)->{reason}, qr/No such file/, 'and why');
all_readable('missing');
is(put("without$_", 200_000), '200 ', "written without it: $_") for 1 .. 3;
rename "$dir/away", "$dir/drive1" or die;
state_is(1, 'ok');
is(drive(1)->{reason}, '', 'no reason any more');
is(put("after$_", 200_000), '200 ', "written with it: $_") for 1 .. 3;
all_readable('back');

# Two that are swapped.
rename "$dir/drive1", "$dir/away" or die;
rename "$dir/drive2", "$dir/drive1" or die;
rename "$dir/away", "$dir/drive2" or die;
state_is($_, 'foreign') for 1, 2;
like(drive(1)->{reason}, qr/holds drive 2: drives are swapped/, 'which it is');
like(drive(2)->{reason}, qr/holds drive 1: drives are swapped/, 'and the other');
all_readable('swapped');
refused(qr/only a drive whose directory is blank/, 'a foreign drive',
    qw(drive replace 1 --yes));

# At a start they are found where they are.
is($t->stop('s3d'), 0, 's3d stops');
$t->start_s3d();
state_is($_, 'ok') for 1, 2;
is(drive(1)->{directory}, "$dir/drive2", 'found at the other path');
is(drive(1)->{configured_drive}, 2, 'and it is said');
is(put('swapped', 200_000), '200 ', 'written');
all_readable('swapped and found');
is($t->stop('s3d'), 0, 's3d stops');
rename "$dir/drive1", "$dir/away" or die;
rename "$dir/drive2", "$dir/drive1" or die;
rename "$dir/away", "$dir/drive2" or die;
$t->start_s3d();
state_is($_, 'ok') for 1, 2;
ok(!defined drive(1)->{configured_drive}, 'each in its place');
all_readable('in their places');

# Another disk.
refused(qr/only a drive whose directory is blank/, 'a drive in use',
    qw(drive replace 3 --yes));
refused(qr/no such drive/, 'no drive', qw(drive replace 6 --yes));
rename "$dir/drive3", "$dir/old" or die;
mkdir "$dir/drive3" or die;
state_is(3, 'blank');
$r = $t->ctl('drive', 'replace', '3');
ok(!$r->{replaced}, 'without --yes nothing happens');
is($r->{drive}{state}, 'blank', 'but it is said what would');
is(drive(3)->{state}, 'blank', 'it is still blank');
$r = $t->ctl('drive', 'replace', '3', '--yes');
ok($r->{replaced}, 'replaced');
is($r->{drive}{state}, 'ok', 'at once in use');
all_readable('replaced');
is(put("new$_", 200_000), '200 ', "written with the new one: $_") for 1 .. 3;

# The old one is not accepted any more, not even by another s3d.
rename "$dir/drive3", "$dir/new" or die;
rename "$dir/old", "$dir/drive3" or die;
state_is(3, 'foreign');
like(drive(3)->{reason}, qr/another drive 3 than the metadata name/, 'why');
is($t->stop('s3d'), 0, 's3d stops');
$t->start_s3d();
is(drive(3)->{state}, 'foreign', 'after a restart');
remove_tree("$dir/drive3");
rename "$dir/new", "$dir/drive3" or die;
state_is(3, 'ok');
all_readable('the new one');

# Drained: it is read and takes nothing new; that lasts.
ok($t->ctl('drive', 'drain', '4'), 'drained');
is(drive(4)->{state}, 'draining', 'and shown');
sub bytes_of {
    my ($index) = @_;
    my $bytes = 0;
    $bytes += -s $_ for glob "$dir/drive$index/extents/*/*";
    return $bytes;
}
my $bytes = bytes_of(4);
is(put("drained$_", 150_000), '200 ', "written elsewhere: $_") for 1 .. 5;
is(bytes_of(4), $bytes, 'nothing was written to it');
is($t->stop('s3d'), 0, 's3d stops');
$t->start_s3d();
is(drive(4)->{state}, 'draining', 'still, after a restart');
all_readable('drained');
ok($t->ctl('drive', 'use', '4'), 'in use again');
is(drive(4)->{state}, 'ok', 'as shown');
put("used$_", 500_000) for 1 .. 10;
cmp_ok(bytes_of(4), '>', $bytes, 'and written to');

# Too many gone: 503 for writes, and no lie for reads; all well later.
rename "$dir/drive$_", "$dir/away$_" or die for 1 .. 5;
state_is($_, 'missing') for 1 .. 5;
is(put('nowhere', 100_000), '503 SlowDown', 'one drive of six is too few');
my $refusal = `${\$t->build()}/s3ctl -s $dir/admin.sock drive drain 0 2>&1`;
is($? >> 8, 1, 'the last that takes writes is not drained');
like($refusal, qr/fewer than two other drives would take writes/, 'why');
is(drive(0)->{state}, 'ok', 'it is as it was');
$r = $t->get('/bkt/before4');
ok($r->{status} != 200 || length $r->{body} < length $bodies{before4},
    'too few shards are no object: an error, or a connection that is cut');
rename "$dir/away$_", "$dir/drive$_" or die for 1 .. 5;
state_is($_, 'ok') for 1 .. 5;
is(put('somewhere', 100_000), '200 ', 'written again');
all_readable('all back');

$t->done();
