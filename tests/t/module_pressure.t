#!/usr/bin/perl

# Slow peers slow the other side down; memory stays bounded; what waits ends.

use strict;
use warnings;

use FindBin;
use IO::Select;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(server => 'location /stream { s3_segments off; s3_pass s3d; }
    location /hasty { s3_key_timeout 1s; s3_pass s3d; }')->run();
my $size = 64 << 20;
my $big = pack('N', 0x01020304) x ($size / 4);

sub peak_kib {
    my $max = 0;
    for my $worker ($t->workers()) {
        open my $status, '<', "/proc/$worker/status" or next;
        my ($kib) = join('', <$status>) =~ /VmHWM:\s+(\d+)/;
        $max = $kib if $kib > $max;
    }
    return $max;
}

# Writes until the other side takes no more for a while.
sub write_some {
    my ($socket, $data) = @_;
    my $sent = 0;
    my $select = IO::Select->new($socket);
    $socket->blocking(0);
    while ($sent < length $data && $select->can_write(0.5)) {
        $sent += syswrite($socket, $data, 1 << 16, $sent) // 0;
    }
    $socket->blocking(1);
    return $sent;
}

$t->put('/bkt');
$t->put('/stream');
my $start = peak_kib();

# An s3d that stands still in an upload.
my $socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/k', body => $big));
$t->pause('s3d');
my $sent = write_some($socket, $big);
cmp_ok($sent, '<', $size / 2, 'the client has to wait');
kill 'CONT', $t->{pids}{s3d};
$t->write_all($socket, substr $big, $sent);
is($t->read_response($socket)->{status}, 200, 'and is served at last');

# A client that reads slowly, from files and from a stream.
is($t->put('/stream/k', body => $big)->{status}, 200, 'put');
for my $target ('/bkt/k', '/stream/k') {
    $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', $target));
    IO::Select->new($socket)->can_read(60);
    is($t->get('/bkt/nosuch')->{status}, 404, "others are served: $target");
    my $r = $t->read_response($socket);
    ok($r->{body} eq $big, "complete: $target");
}
cmp_ok(peak_kib() - $start, '<', 16 << 10, 'workers need little memory');

# Many requests with the first use of a key at once.
my $user = $t->ctl('account', 'add', 'other', '--operator');
my @sockets = map { $t->connect() } 1 .. 40;
my @keys = (access_key => $user->{access_key}, secret_key => $user->{secret_key});
$t->write_all($_, $t->compose('GET', '/bkt/nosuch', @keys)) for @sockets;
my %statuses;
$statuses{ $t->read_response($_)->{status} }++ for @sockets;
is_deeply(\%statuses, { 404 => 40 }, 'one key for many');

# How many connections to nginx hold bytes that no worker has read.
sub unread {
    my ($port) = $t->host() =~ /:(\d+)$/;
    open my $tcp, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
    return scalar grep {
        my (undef, $local, undef, $state, $queues) = split;
        $state eq '01' && hex(($local =~ /:(\w+)$/)[0]) == $port
            && hex(($queues =~ /:(\w+)$/)[0]) > 0;
    } grep { /^\s*\d+:/ } <$tcp>;
}

# Requests that wait for a key when s3d stands still, and a reload meanwhile.
my $third = $t->ctl('account', 'add', 'third', '--operator');
@keys = (access_key => $third->{access_key}, secret_key => $third->{secret_key});
$t->pause('s3d');
@sockets = map { $t->connect() } 1 .. 10;
$t->write_all($_, $t->compose('GET', '/hasty/nosuch', @keys)) for @sockets;
# A worker that is to end closes what it has not read.
$t->wait_for('the requests are read', sub { unread() == 0 });
close $_ for splice @sockets, 0, 5;
my @old = $t->workers();
$t->reload_nginx();
%statuses = ();
$statuses{ $t->read_response($_)->{status} }++ for @sockets;
is_deeply(\%statuses, { 503 => 5 }, 'no key: told so after s3_key_timeout');
kill 'CONT', $t->{pids}{s3d};
$t->wait_for_end_of(@old);
$t->wait_for('new workers serve',
    sub { $t->get('/bkt/nosuch', @keys)->{status} == 404 });

# A deleted key stops working at once, whatever the zone holds.
$t->ctl('key', 'delete', $third->{access_key});
my $r = $t->get('/bkt/nosuch', @keys);
is("$r->{status} $r->{code}", '403 InvalidAccessKeyId', 'a deleted key');

$t->done();
