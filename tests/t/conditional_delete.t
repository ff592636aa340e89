#!/usr/bin/perl

# If-Match, x-amz-if-match-size and x-amz-if-match-last-modified-time, one by
# one and in DeleteObjects.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $past = 'Thu, 01 Jan 2015 00:00:00 GMT';
my $r;

$t->put('/bkt');

sub fill {
    $t->put('/bkt/k', body => 'hello');
    return $t->head('/bkt/k')->{headers}{'last-modified'};
}

sub remove {
    my (@headers) = @_;
    my $answer = $t->delete('/bkt/k', headers => \@headers);
    return $answer->{status} == 204 ? 204 : "$answer->{status} $answer->{code}";
}

my $time = fill();
my $etag = '"' . md5_hex('hello') . '"';

is(remove([ 'x-amz-if-match-size' => 4 ]), '412 PreconditionFailed', 'size');
is(remove([ 'x-amz-if-match-last-modified-time' => $past ]),
    '412 PreconditionFailed', 'time');
is(remove([ 'If-Match' => $etag ], [ 'x-amz-if-match-size' => 6 ]),
    '412 PreconditionFailed', 'one of two');
is(remove([ 'x-amz-if-match-size' => 'five' ]), '400 InvalidArgument',
    'no size');
is(remove([ 'x-amz-if-match-last-modified-time' => 'now' ]),
    '400 InvalidArgument', 'no time');
is($t->get('/bkt/k')->{body}, 'hello', 'still there');

is(remove([ 'If-Match' => $etag ], [ 'x-amz-if-match-size' => 5 ],
        [ 'x-amz-if-match-last-modified-time' => $time ]), 204, 'all three');
is($t->get('/bkt/k')->{status}, 404, 'gone');
is(remove([ 'If-Match' => $etag ]), '404 NoSuchKey', 'nothing has no tag');
is(remove([ 'x-amz-if-match-size' => 5 ]), 204, 'nothing has no size');

# --- DeleteObjects --------------------------------------------------------------

sub objects {
    my (@entries) = @_;
    my $body = '<Delete>' . join('', map { "<Object>$_</Object>" } @entries)
        . '</Delete>';
    return $t->post('/bkt?delete', body => $body,
        headers => [ [ 'Content-MD5' => md5_base64($body) . '==' ] ]);
}

$t->put("/bkt/$_", body => 'hello') for qw(tag size time any);
$time = $t->head('/bkt/time')->{headers}{'last-modified'};
$r = objects('<Key>tag</Key><ETag>"00"</ETag>', '<Key>size</Key><Size>4</Size>',
    "<Key>time</Key><LastModifiedTime>$past</LastModifiedTime>",
    '<Key>none</Key><Size>1</Size>');
is($r->{status}, 200, 'DeleteObjects');
like($r->{body}, qr{<Error><Key>$_</Key><Code>PreconditionFailed</Code>}, "$_ stays")
    for qw(tag size time);
like($r->{body}, qr{<Deleted><Key>none</Key></Deleted>}, 'of nothing');
is($t->get("/bkt/$_")->{status}, 200, "$_ is there") for qw(tag size time);

$r = objects("<Key>tag</Key><ETag>$etag</ETag>", '<Key>size</Key><Size>5</Size>',
    "<Key>time</Key><LastModifiedTime>$time</LastModifiedTime>",
    '<Key>any</Key><ETag>*</ETag><Size>5</Size>');
like($r->{body}, qr{<Deleted><Key>$_</Key></Deleted>}, "$_ goes")
    for qw(tag size time any);
is($t->get("/bkt/$_")->{status}, 404, "$_ is gone") for qw(tag size time any);

$r = objects('<Key>tag</Key><Size>five</Size>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'no size');

$t->done();
