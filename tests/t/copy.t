#!/usr/bin/perl

# CopyObject: directives, sources, conditions.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

$t->put('/b');
$t->put('/c');
$t->put('/b/k', body => 'data', headers => [ [ 'Content-Type' => 'text/css' ],
    [ 'x-amz-meta-a' => '1' ] ]);
$t->put('/b/sp%20%2B%C3%A9', body => 'odd');
my $etag = '"' . md5_hex('data') . '"';

sub copy {
    my ($to, $from, @headers) = @_;
    return $t->put($to, headers => [ [ 'x-amz-copy-source' => $from ], @headers ]);
}

$r = copy('/c/k', '/b/k');
is($r->{status}, 200, 'copy');
like($r->{body}, qr{<CopyObjectResult .*<ETag>(&quot;|")} . md5_hex('data')
    . qr{(&quot;|")</ETag>}s, 'result with a quoted ETag');
like($r->{body}, qr{<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z</}, 'time');
$r = $t->get('/c/k');
is($r->{body}, 'data', 'bytes');
is($r->{headers}{'content-type'}, 'text/css', 'type is kept');
is($r->{headers}{'x-amz-meta-a'}, '1', 'metadata is kept');

is(copy('/c/n', 'b/k')->{status}, 200, 'the leading slash is optional');
is(copy('/c/n', '/b/sp%20%2B%C3%A9')->{status}, 200, 'the source is decoded');
is($t->get('/c/n')->{body}, 'odd', 'right object');

$r = copy('/c/r', '/b/k', [ 'x-amz-metadata-directive' => 'REPLACE' ],
    [ 'x-amz-meta-b' => '2' ]);
is($r->{status}, 200, 'replace');
$r = $t->get('/c/r');
is($r->{headers}{'x-amz-meta-b'}, '2', 'new metadata');
ok(!exists $r->{headers}{'x-amz-meta-a'}, 'old metadata is gone');
is($r->{headers}{'content-type'}, 'binary/octet-stream', 'and the type');

$r = copy('/b/k', '/b/k');
is("$r->{status} $r->{code}", '400 InvalidRequest', 'onto itself unchanged');
is(copy('/b/k', '/b/k', [ 'x-amz-metadata-directive' => 'REPLACE' ])->{status}, 200,
    'onto itself with new metadata');

for (
    [ [ 'x-amz-copy-source-if-match' => $etag ], 200 ],
    [ [ 'x-amz-copy-source-if-match' => '"x"' ], 412 ],
    [ [ 'x-amz-copy-source-if-none-match' => $etag ], 412 ],
    [ [ 'x-amz-copy-source-if-none-match' => '"x"' ], 200 ],
    [ [ 'x-amz-copy-source-if-unmodified-since' => 'Sat, 29 Oct 1994 19:43:31 GMT' ], 412 ],
    [ [ 'x-amz-copy-source-if-modified-since' => 'Sat, 29 Oct 1994 19:43:31 GMT' ], 200 ],
) {
    my ($header, $status) = @$_;
    is(copy('/c/x', '/b/k', $header)->{status}, $status, "@$header");
}

$r = copy('/c/x', '/b/nosuch');
is("$r->{status} $r->{code}", '404 NoSuchKey', 'no such source');
$r = copy('/c/x', '/nosuch/k');
is("$r->{status} $r->{code}", '404 NoSuchBucket', 'no such source bucket');
$r = copy('/c/x', 'nonsense');
is($r->{status}, 400, 'a source without a key');
$r = copy('/c/x', '/b/k', [ 'x-amz-metadata-directive' => 'NONSENSE' ]);
is("$r->{status} $r->{code}", '400 InvalidArgument', 'unknown directive');

# Either side may go; the other stays whole.
$t->put('/b/one', body => 'shared' x 20000);
copy('/b/two', '/b/one');
copy('/b/three', '/b/two');
$t->delete('/b/one');
ok($t->get('/b/two')->{body} eq 'shared' x 20000, 'the copy outlives the source');
$t->put('/b/two', body => 'other');
ok($t->get('/b/three')->{body} eq 'shared' x 20000, 'and the copy\'s copy');

$t->done();
