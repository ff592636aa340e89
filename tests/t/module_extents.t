#!/usr/bin/perl

# What a worker keeps open of extents, against an s3d that is played here: that
# it serves the file that s3d has checked and no other, and lets go of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Frames qw(:worker);
use Test::More;
use Test::S3;

my $LIMIT = 256;            # of descriptors
my $KEPT = $LIMIT / 8;      # at most
my $LONG = 64 << 20;        # more than sockets hold

my $t = Test::S3->new(workers => 1, main => "worker_rlimit_nofile $LIMIT;",
    server => 'sendfile_max_chunk 64k;');
my $dir = $t->dir();
my $secret = 'secret';

# --- the played s3d -----------------------------------------------------------

sub path {
    my ($extent) = @_;
    return sprintf '%s/fake/extents/%02x/%016x', $dir, $extent & 255, $extent;
}

sub serve_control {
    my ($s) = @_;
    syswrite $s, welcome("$dir/fake");
    while (my ($type, $payload) = read_frame($s)) {
        my $m = message($payload);
        return if $m->{2} eq 'AKCUT';
        syswrite $s, welcome("$dir/fake") if $m->{2} eq 'AKDRIVES';
        syswrite $s, key_reply($m, $secret);
    }
}

# LENGTH-EXTENT-DEVICE-INODE: the file's first bytes, or n for each. With more
# extents all of theirs.
sub serve_requests {
    my ($s, $payload) = @_;
    while (defined $payload) {
        my ($length, @files) = split '-', message($payload)->{4};
        my ($type, @segments) = (0);
        ($type) = read_frame($s) while $type != $END;
        while (my ($extent, $device, $inode) = splice @files, 0, 3) {
            push @segments, [ 0, $extent, 0, $length, $device, $inode ];
        }
        syswrite $s, reply(200, $BODY_SEGMENTS, $length * @segments)
            . segments(@segments) . frame($END);
        ($type) = read_frame($s);
        syswrite $s, frame($DATA, 'n' x ($length * @segments)) . frame($END)
            if $type == $NACK;
        (undef, $payload) = read_frame($s);
    }
}

mkdir "$dir/fake$_" or die for '', '/extents', map { sprintf '/extents/%02x', $_ } 1 .. 40;
Test::Frames::play($t, \&serve_control, \&serve_requests);
@$t{qw(access_key secret_key)} = ('AKGOOD', $secret);
$t->start_nginx();

# --- what the tests ask ---------------------------------------------------------

# In place of what is there: its identity, as s3d names it.
sub make {
    my ($extent, $letter) = @_;
    open my $f, '>', "$dir/new" or die;
    print {$f} $letter x 1000;
    truncate $f, $LONG or die;
    close $f or die;
    rename "$dir/new", path($extent) or die;
    return join '-', $extent, (stat path($extent))[ 0, 1 ];
}

sub served {
    my ($expected, $file, $name, %options) = @_;
    my $r = $t->get("/bkt/1000-$file", %options);
    my ($first) = ($r->{body} // '') =~ /^(.)\1{999}$/;
    return is("$r->{status} " . ($first // $r->{code} // ''), $expected, $name);
}

# When s3d has said where the drives are.
sub served_soon {
    my ($letter, $file, $name) = @_;
    $t->wait_for($name, sub {
        return $t->get("/bkt/1000-$file")->{body} eq $letter x 1000;
    });
    return pass($name);
}

sub slow_reader {
    my ($file) = @_;
    my $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', "/bkt/$LONG-$file"));
    my $rest = \(${*$socket}{s3_rest} = '');
    Test::S3::fill($socket, $rest) until length $$rest > 1000;
    return $socket;
}

# The extents that the worker has open.
sub kept {
    my ($worker) = $t->workers();
    return grep { m{^\Q$dir\E/fake/extents/} }
        map { readlink // '' } glob "/proc/$worker/fd/*";
}

# --- which file ------------------------------------------------------------------

my $first = make(1, 'a');
served('200 a', $first, 'a file');
$t->wait_for('a file is kept', sub {
    $t->get("/bkt/1000-$first");
    return kept() == 1;
});

my $reader = slow_reader($first);
unlink path(1) or die;
served('200 a', $first, "what is open is not opened, time $_") for 1 .. 3;
is(scalar kept(), 1, 'one descriptor for all');
served('200 n', '1-0-0', 'what was not checked is opened anew');

my $second = make(1, 'b');
served('200 a', $first, 'what s3d has checked, whatever is at the path');
served('200 b', $second, 'and the other one when s3d has checked that');
served('200 n', $first, 'the first one is not at the path any more');
served('200 b', '1-0-0', 'unchecked: what is at the path');
my ($device, $inode) = $second =~ /-(\d+)-(\d+)$/;
served('200 n', "1-$device-" . ($inode + 1), 'a file of no path');
served('200 n', '1-' . ($device + 1) . "-$inode", 'and of no device');
served('200 b', $second, 'what is there');

ok((grep { / \(deleted\)$/ } kept()), 'the slow reader still has its own');
close $reader;
$t->wait_for('all are let go', sub { kept() == 0 });

# --- when s3d's drives change ------------------------------------------------------

$reader = slow_reader($second);
served('200 b', $second, 'a file in use');
rename path(1), "$dir/aside" or die;
served('200 b', $second, 'is not opened');
served('200 n', $second, 'new drives: it is opened',
    access_key => 'AKDRIVES');
rename "$dir/aside", path(1) or die;
my $another = slow_reader($second);
rename path(1), "$dir/aside" or die;
served('200 b', $second, 'and kept again');
is($t->get("/bkt/1000-$second", access_key => 'AKCUT')->{status}, 503,
    's3d is lost');
served('200 n', $second, 'it is opened');
rename "$dir/aside", path(1) or die;
served_soon('b', $second, 's3d is there again');
close $_ for $reader, $another;
$t->wait_for('all are let go', sub { kept() == 0 });

# --- how many ----------------------------------------------------------------------

my $all = join '-', map { make($_, 'c') } 1 .. $KEPT + 8;
my $most = 'c' x 1000 x ($KEPT + 8);
$t->wait_for("$KEPT files are kept", sub {
    my $r = $t->get("/bkt/1000-$all");
    die 'wrong bytes' if $r->{body} ne $most;
    return kept() == $KEPT;
});
pass("$KEPT files are kept");

# A worker that ends waits for none.
$t->get("/bkt/1000-$all");
my @old = $t->workers();
$t->reload_nginx();
$t->wait_for_end_of(@old);
served_soon('c', make(2, 'c'), 'the next worker');

# All has been said of this body, and between two chunks of it nothing but
# nginx's own queue knows that there is more.
$reader = slow_reader(make(2, 'd'));
@old = $t->workers();
$t->reload_nginx();
$t->wait_for('the worker shuts down', sub {
    open my $title, '<', "/proc/$old[0]/cmdline" or return;
    return <$title> =~ /shutting down/;
});
is(length $t->read_response($reader)->{body}, $LONG, 'it sends all before');
$t->wait_for_end_of(@old);

$t->done();
