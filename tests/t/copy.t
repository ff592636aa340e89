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

$t->put('/bkt');
$t->put('/cpy');
$t->put('/bkt/k', body => 'data', headers => [ [ 'Content-Type' => 'text/css' ],
    [ 'x-amz-meta-a' => '1' ] ]);
$t->put('/bkt/sp%20%2B%C3%A9', body => 'odd');
my $etag = '"' . md5_hex('data') . '"';

sub copy {
    my ($to, $from, @headers) = @_;
    return $t->put($to, headers => [ [ 'x-amz-copy-source' => $from ], @headers ]);
}

$r = copy('/cpy/k', '/bkt/k');
is($r->{status}, 200, 'copy');
(my $plain = $r->{body}) =~ s/&quot;/"/g;
like($plain, qr{<CopyObjectResult .*<ETag>\Q$etag\E</ETag>}s, 'result with a quoted ETag');
like($r->{body}, qr{<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z</}, 'time');
$r = $t->get('/cpy/k');
is($r->{body}, 'data', 'bytes');
is($r->{headers}{'content-type'}, 'text/css', 'type is kept');
is($r->{headers}{'x-amz-meta-a'}, '1', 'metadata is kept');

is(copy('/cpy/n', 'bkt/k')->{status}, 200, 'the leading slash is optional');
is(copy('/cpy/n', '/bkt/sp%20%2B%C3%A9')->{status}, 200, 'the source is decoded');
is($t->get('/cpy/n')->{body}, 'odd', 'right object');

$r = copy('/cpy/r', '/bkt/k', [ 'x-amz-metadata-directive' => 'REPLACE' ],
    [ 'x-amz-meta-b' => '2' ]);
is($r->{status}, 200, 'replace');
$r = $t->get('/cpy/r');
is($r->{headers}{'x-amz-meta-b'}, '2', 'new metadata');
ok(!exists $r->{headers}{'x-amz-meta-a'}, 'old metadata is gone');
is($r->{headers}{'content-type'}, 'binary/octet-stream', 'and the type');

$r = copy('/bkt/k', '/bkt/k');
is("$r->{status} $r->{code}", '400 InvalidRequest', 'onto itself unchanged');
is(copy('/bkt/k', '/bkt/k', [ 'x-amz-metadata-directive' => 'REPLACE' ])->{status}, 200,
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
    is(copy('/cpy/x', '/bkt/k', $header)->{status}, $status, "@$header");
}

$r = copy('/cpy/x', '/bkt/nosuch');
is("$r->{status} $r->{code}", '404 NoSuchKey', 'no such source');
$r = copy('/cpy/x', '/nosuch/k');
is("$r->{status} $r->{code}", '404 NoSuchBucket', 'no such source bucket');
$r = copy('/cpy/x', 'nonsense');
is($r->{status}, 400, 'a source without a key');
$r = copy('/cpy/x', '/bkt/k', [ 'x-amz-metadata-directive' => 'NONSENSE' ]);
is("$r->{status} $r->{code}", '400 InvalidArgument', 'unknown directive');

# Either side may go; the other stays whole.
$t->put('/bkt/one', body => 'shared' x 20000);
copy('/bkt/two', '/bkt/one');
copy('/bkt/three', '/bkt/two');
$t->delete('/bkt/one');
ok($t->get('/bkt/two')->{body} eq 'shared' x 20000, 'the copy outlives the source');
$t->put('/bkt/two', body => 'other');
ok($t->get('/bkt/three')->{body} eq 'shared' x 20000, 'and the copy\'s copy');

$t->done();
