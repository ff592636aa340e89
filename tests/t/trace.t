#!/usr/bin/perl

# s3ctl trace and s3ctl top: one request's way through nginx and s3d, requests
# as they end, rates by operation and bucket, and what is under way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $dir = $t->dir();
my $s3ctl = $t->build() . "/s3ctl -s $dir/admin.sock";
is($t->put('/bkt')->{status}, 200, 'a bucket');

# --- one that nobody traced ---------------------------------------------------------
my ($id, $one);
# A thread that is held up itself finds that the drives have answered by then.
$t->wait_for('one that waits for drives', sub {
    my $r = $t->put('/bkt/key', body => 'x' x 200000);
    $id = $r->{headers}{'x-amz-request-id'};
    $t->wait_for('its end', sub {
        $one = decode_json(`$s3ctl trace $id --json 2>/dev/null` || '{}');
        return $one->{request};
    });
    return $one->{s3d}{phases}{drive} > 0;
});
is("$one->{request} $one->{operation} $one->{bucket}/$one->{key} $one->{status}",
    "$id PutObject bkt/key 200", 'a request is known by its id');
my $sum = 0;
$sum += $_ for values %{ $one->{s3d}{phases} };
cmp_ok(abs($sum - $one->{s3d}{us}), '<', 1000, 'phases add up to its time');
ok(!$one->{nginx}, 'workers tell nothing that nobody wants to know');
my $shown = `$s3ctl trace $id`;
is($?, 0, 'for people');
like($shown, qr{^operation    PutObject bkt/key$}m, 'what it was');
like($shown, qr/^s3d +drive +\d+\.\d{3}  #/m, 'a line for each part');
like(`$s3ctl trace 0000 2>&1`, qr/^s3ctl: it is none of the last/, 'an id that is not known');
is($? >> 8, 1, 'is refused');
is(system("$s3ctl trace >/dev/null 2>&1") >> 8, 2, 'neither an id nor --follow');
is(system("$s3ctl trace --follow $id >/dev/null 2>&1") >> 8, 2, 'both');

# --- as they end ----------------------------------------------------------------------
$t->spawn('trace', split(/ /, "$s3ctl trace --follow --json --bucket bkt"));
sub traced { return map { decode_json($_) } grep { /\}$/ } split /\n/, $t->read_file('trace.out') }
# Until the workers were told that somebody follows.
$t->wait_for('a trace with nginx\'s part', sub {
    $t->get('/bkt/key');
    return grep { $_->{nginx} && $_->{operation} eq 'GetObject' } traced();
});
# Parts that are more than a second apart, as on a busy machine, stay apart.
my $put;
$t->wait_for('both parts of a request', sub {
    $put = $t->put('/bkt/traced', body => 'y' x 1000)->{headers}{'x-amz-request-id'};
    my $seen;
    $t->wait_for('the request', sub {
        ($seen) = grep { $_->{request} eq $put } traced();
        return $seen;
    });
    return $seen->{s3d} && $seen->{nginx};
});
my $refused = $t->get('/bkt/key', secret_key => 'wrong')->{headers}{'x-amz-request-id'};
is($t->put('/other')->{status}, 200, 'another bucket');
my $last = $t->get('/bkt/none')->{headers}{'x-amz-request-id'};
my %by_id;
$t->wait_for('the last one', sub {
    %by_id = map { $_->{request} => $_ } traced();
    return $by_id{$last};
});
$one = $by_id{$put};
ok($one->{s3d} && $one->{nginx}, 'both parts of a request');
cmp_ok($one->{nginx}{backend_us}, '>=', $one->{s3d}{us} - $one->{s3d}{phases}{client},
    'what nginx waited for has what s3d did in it');
cmp_ok($one->{nginx}{received}, '>', 1000, 'bytes');
is("$by_id{$refused}{operation} $by_id{$refused}{status} $by_id{$refused}{error}",
    'GetObject 403 SignatureDoesNotMatch', 'what nginx has refused');
is("$by_id{$last}{status} $by_id{$last}{error}", '404 NoSuchKey', 'an error');
is((grep { $_->{bucket} ne 'bkt' } values %by_id), 0, 'of that bucket only');
my $hot;
$t->wait_for('the hot index', sub {
    $t->get('/bkt/traced');
    ($hot) = grep { $_->{nginx} && $_->{nginx}{hot} } traced();
    return $hot;
});
ok(!$hot->{s3d}, 'what the hot index has answered never was in s3d');
is("$hot->{operation} $hot->{key}", 'GetObject traced', 'and is seen');
is($t->stop('trace'), 15, 'it follows until it is stopped');

# --- top --------------------------------------------------------------------------------
$t->spawn('top', split(/ /, "$s3ctl top --once --json"));
$t->put('/bkt/key', body => 'z' x 5000) while $t->alive('top');
is($?, 0, 'once');
my $view = decode_json($t->read_file('top.out'));
my ($operation) = grep { $_->{name} eq 'PutObject' } @{ $view->{operations} };
cmp_ok($operation->{requests}, '>', 0, 'puts a second');
cmp_ok($operation->{mean_ms}, '>', 0, 'how long they took');
is($view->{buckets}[0]{name}, 'bkt', 'by bucket');
cmp_ok($view->{buckets}[0]{received}, '>', 4000 * $view->{buckets}[0]{requests}, 'bytes');

my $socket = IO::Socket::INET->new(PeerAddr => $t->host()) or die;
print $socket $t->compose('PUT', '/bkt/slow', no_length => 1,
    sha256 => 'UNSIGNED-PAYLOAD', headers => [ [ 'Content-Length' => 1_000_000 ] ]), 'x' x 300_000;
$socket->flush();
my $table;
$t->wait_for('it is under way', sub {
    $table = `$s3ctl top --once`;
    return $table =~ m{^[0-9A-F]{16} +[\d.]+ +0\.29 +0\.00  PutObject  bkt/slow$}m;
});
like($table, qr/^s3d \S+, up \d+ s: 1 requests under way$/m, 'what is under way');
$view = decode_json(`$s3ctl top --once --json`);
is(join(' ', map { "$_->{received} $_->{sent}" } @{ $view->{requests} }), '300000 0',
    'what has moved of it, not what was declared');
close $socket;

$t->done();
