#!/usr/bin/perl

# Range, If-Range and the conditional headers of reads.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $body = join '', map { pack 'N', $_ } 0 .. 500_000;    # 2,000,004 bytes
my $size = length $body;
my ($r, $etag);

$t->put('/bkt');
$t->put('/bkt/k', body => $body);
$t->put('/bkt/empty');
$etag = '"' . md5_hex($body) . '"';

sub range {
    my ($range, @headers) = @_;
    return $t->get('/bkt/k', headers => [ [ Range => $range ], @headers ]);
}

my $last = $size - 1;
my @good = (
    [ 'bytes=0-0', 0, 0 ],
    [ 'bytes=0-', 0, $last ],
    [ "bytes=0-$last", 0, $last ],
    [ 'bytes=1-9', 1, 9 ],
    [ 'bytes=-1', $last, $last ],
    [ 'bytes=-7', $last - 6, $last ],
    [ 'bytes=-99999999', 0, $last ],
    [ "bytes=$last-", $last, $last ],
    [ "bytes=$last-99999999", $last, $last ],
    [ 'bytes=65535-65536', 65535, 65536 ],
    [ 'bytes=262143-262144', 262143, 262144 ],
    [ 'bytes=1048575-1048576', 1048575, 1048576 ],
    [ 'bytes=100000-1900000', 100000, 1900000 ],
);
for (@good) {
    my ($range, $from, $to) = @$_;
    $r = range($range);
    is($r->{status}, 206, "$range is partial");
    is($r->{headers}{'content-range'}, "bytes $from-$to/$size", "$range place");
    is($r->{headers}{'content-length'}, $to - $from + 1, "$range length");
    ok($r->{body} eq substr($body, $from, $to - $from + 1), "$range bytes");
}

for my $range ("bytes=$size-", 'bytes=99999999-', 'bytes=-0') {
    $r = range($range);
    is("$r->{status} $r->{code}", '416 InvalidRange', "$range refused");
    is($r->{headers}{'content-range'}, "bytes */$size", "$range size told");
}
$r = $t->get('/bkt/empty', headers => [ [ Range => 'bytes=0-' ] ]);
is("$r->{status} $r->{code}", '416 InvalidRange', 'range of an empty object');

for my $range ('bytes=abc-def', 'bytes=5-1', 'bytes=0-1,3-4', 'items=0-1',
    'bytes=', 'bytes=-', 'bytes 0-1') {
    $r = range($range);
    is($r->{status}, 200, "$range ignored");
    ok($r->{body} eq $body, "$range: all bytes");
}

$r = $t->head('/bkt/k', headers => [ [ Range => 'bytes=2-5' ] ]);
is($r->{status}, 206, 'HEAD with a range');
is($r->{headers}{'content-length'}, 4, 'its length');
is($r->{headers}{'content-range'}, "bytes 2-5/$size", 'its place');

is(range('bytes=0-1', [ 'If-Range' => $etag ])->{status}, 206, 'If-Range fits');
is(range('bytes=0-1', [ 'If-Range' => '"x"' ])->{status}, 200, 'If-Range does not');

$r = $t->get('/bkt/k?partNumber=1');
is($r->{status}, 206, 'part 1 of a plain object');
ok($r->{body} eq $body, 'is all of it');
$r = $t->get('/bkt/k?partNumber=2');
is("$r->{status} $r->{code}", '416 InvalidPartNumber', 'part 2 is not there');
$r = $t->get('/bkt/k?partNumber=1', headers => [ [ Range => 'bytes=0-1' ] ]);
is($r->{status}, 400, 'part and range together');

# Conditional reads.
my $modified = $t->head('/bkt/k')->{headers}{'last-modified'};
my $old = 'Sat, 29 Oct 1994 19:43:31 GMT';
my $future = 'Fri, 01 Jan 2100 00:00:00 GMT';

sub condition {
    return $t->get('/bkt/k', headers => [ @_ ]);
}

is(condition([ 'If-Match' => $etag ])->{status}, 200, 'If-Match fits');
is(condition([ 'If-Match' => '*' ])->{status}, 200, 'If-Match any');
$r = condition([ 'If-Match' => '"x"' ]);
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'If-Match differs');
like($r->{body}, qr{<Condition>If-Match</Condition>}, 'names the condition');
$r = condition([ 'If-None-Match' => $etag ]);
is($r->{status}, 304, 'If-None-Match fits');
is($r->{body}, '', '304 has no body');
is($r->{headers}{etag}, $etag, '304 has the ETag');
is($r->{headers}{'last-modified'}, $modified, '304 has Last-Modified');
is(condition([ 'If-None-Match' => '"x"' ])->{status}, 200, 'If-None-Match differs');
is(condition([ 'If-Modified-Since' => $old ])->{status}, 200, 'modified since');
is(condition([ 'If-Modified-Since' => $modified ])->{status}, 304, 'not modified');
is(condition([ 'If-Unmodified-Since' => $old ])->{status}, 412, 'was modified');
is(condition([ 'If-Unmodified-Since' => $future ])->{status}, 200, 'unmodified');
is(condition([ 'If-Match' => $etag ], [ 'If-Unmodified-Since' => $old ])->{status},
    200, 'If-Match beats If-Unmodified-Since');
is(condition([ 'If-None-Match' => $etag ], [ 'If-Modified-Since' => $old ])->{status},
    304, 'If-None-Match beats If-Modified-Since');

$t->done();
