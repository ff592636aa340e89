#!/usr/bin/perl

# Connections: keep-alive, pipelines of requests, clients that vanish or
# stall, s3d that goes away and comes back, reload under load.

use strict;
use warnings;

use FindBin;
use IO::Select;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(location => 'client_body_timeout 1s;')->run();
my $big = join '', map { pack 'N', $_ } 1 .. 1_000_000;    # 4,000,000 bytes
my ($socket, $r);

$t->put('/bkt');
$t->put('/bkt/big', body => $big);

# One connection, many requests, errors among them.
$socket = $t->connect();
for my $n (1 .. 5) {
    is($t->put("/bkt/k$n", body => "v$n", socket => $socket)->{status}, 200, "put $n");
    is($t->get("/bkt/k$n", socket => $socket)->{body}, "v$n", "get $n");
    is($t->head("/bkt/k$n", socket => $socket)->{status}, 200, "head $n");
    is($t->get('/bkt/nosuch', socket => $socket)->{status}, 404, "absent $n");
    is($t->get('/bkt/k1', socket => $socket, sign => 0)->{status}, 403, "anonymous $n");
    is(length $t->get('/bkt/big', socket => $socket)->{body}, length $big, "big $n");
    is($t->delete("/bkt/k$n", socket => $socket)->{status}, 204, "delete $n");
}

# A refused body: the error arrives, and whatever happens to the connection,
# the next request is answered rightly.
$r = $t->put('/nosuch/k', body => $big);
is("$r->{status} $r->{code}", '404 NoSuchBucket', 'error while the body comes');
is($t->get('/bkt/big')->{status}, 200, 'and the next request is served');

# A client that vanishes in mid-body leaves nothing.
$socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/gone', body => $big)
    . substr $big, 0, 1_000_000);
close $socket;
is($t->get('/bkt/gone')->{status}, 404, 'half an upload is nothing');

# A client that stalls is cut off by nginx's own timeout.
$socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/stall', body => $big)
    . substr $big, 0, 1000);
ok(IO::Select->new($socket)->can_read(60), 'a stalled client is cut off');
is($t->get('/bkt/stall')->{status}, 404, 'and leaves nothing');

# A client that vanishes in mid-download.
for (1 .. 20) {
    $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', '/bkt/big'));
    sysread $socket, my $some, 1000;
    close $socket;
}
ok($t->get('/bkt/big')->{body} eq $big, 'others are not disturbed');

# Reload: a download that is under way ends whole; new workers serve.
$socket = $t->connect();
$t->write_all($socket, $t->compose('GET', '/bkt/big'));
ok(IO::Select->new($socket)->can_read(60), 'a download begins');
my @old = $t->workers();
$t->reload_nginx();
$r = $t->read_response($socket);
ok($r->{body} eq $big, 'a download outlives a reload');
$t->wait_for_end_of(@old);
pass('old workers end');
is($t->put('/bkt/after', body => 'x')->{status}, 200, 'new workers serve');

# Without s3d: a clear error; and back again.
$t->stop('s3d');
$r = $t->get('/bkt/after');
is("$r->{status} $r->{code}", '503 ServiceUnavailable', 'without s3d');
like($r->{body}, qr{<Message>.+</Message>}, 'as XML');
$t->start_s3d();
$t->wait_for('s3d is found again', sub { $t->get('/bkt/after')->{status} == 200 });
ok($t->get('/bkt/big')->{body} eq $big, 'everything is there after a restart');

# The request id is in nginx's log as in s3d's.
$r = $t->get('/bkt/after');
my $id = $r->{headers}{'x-amz-request-id'};
like($t->read_file('s3d.log'), qr/"request":"$id"/, 'request id in s3d\'s log');

$t->done();
