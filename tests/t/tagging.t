#!/usr/bin/perl

# Tags of objects and buckets; GetObjectAttributes.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

sub tagging {
    return '<Tagging><TagSet>' . join('', map {
        "<Tag><Key>$_->[0]</Key><Value>$_->[1]</Value></Tag>"
    } @_) . '</TagSet></Tagging>';
}

sub put_tags {
    my ($target, @tags) = @_;
    my $body = tagging(@tags);
    return $t->put("$target?tagging", body => $body,
        headers => [ [ 'Content-MD5' => md5_base64($body) . '==' ] ]);
}

sub tags_of {
    my ($target) = @_;
    my $answer = $t->get("$target?tagging");
    return "$answer->{status} $answer->{code}" if $answer->{status} != 200;
    return join ' ', $answer->{body}
        =~ m{<Tag><Key>(.*?)</Key><Value>(.*?)</Value></Tag>}g;
}

is($t->put('/bucket')->{status}, 200, 'a bucket');
is($t->put('/bucket/k', body => 'hello')->{status}, 200, 'an object');
is(tags_of('/bucket/k'), '', 'has no tags');

$r = put_tags('/bucket/k', [ 'b', 'two words' ], [ 'a', '' ]);
is($r->{status}, 200, 'tags are put');
is(tags_of('/bucket/k'), 'a  b two words', 'and read back by name');
is($t->head('/bucket/k')->{headers}{'x-amz-tagging-count'}, 2, 'counted');
is($t->get('/bucket/k')->{body}, 'hello', 'the object is as it was');

$r = $t->put('/bucket/copy', headers => [ [ 'x-amz-copy-source' => '/bucket/k' ] ]);
is($r->{status}, 200, 'copied');
is(tags_of('/bucket/copy'), 'a  b two words', 'with its tags');
$r = $t->put('/bucket/copy', headers => [
    [ 'x-amz-copy-source' => '/bucket/k' ],
    [ 'x-amz-tagging-directive' => 'REPLACE' ], [ 'x-amz-tagging' => 'c=d' ] ]);
is(tags_of('/bucket/copy'), 'c d', 'or with others');

is($t->delete('/bucket/k?tagging')->{status}, 204, 'removed');
is($t->delete('/bucket/k?tagging')->{status}, 204, 'again');
is(tags_of('/bucket/k'), '', 'none is left');
is(tags_of('/bucket/nosuch'), '404 NoSuchKey', 'no such object');

$r = put_tags('/bucket/k', map { [ "k$_", 'v' ] } 1 .. 11);
is("$r->{status} $r->{code}", '400 BadRequest', 'eleven are too many');
$r = put_tags('/bucket/k', [ 'a', 1 ], [ 'a', 2 ]);
is("$r->{status} $r->{code}", '400 InvalidTag', 'a name twice');
$r = $t->put('/bucket/k?tagging', body => tagging([ 'a', 1 ]));
is("$r->{status} $r->{code}", '400 InvalidRequest', 'without Content-MD5');
is($t->post('/bucket/k?tagging')->{status}, 405, 'POST is not a method of it');
is($t->get('/bucket/k')->{body}, 'hello', 'the object is as it was');

is(tags_of('/bucket'), '404 NoSuchTagSet', 'the bucket has no tags');
is(put_tags('/bucket', [ 'x', 'y' ])->{status}, 204, 'put');
is(tags_of('/bucket'), 'x y', 'read back');
is($t->delete('/bucket?tagging')->{status}, 204, 'removed');
is(tags_of('/bucket'), '404 NoSuchTagSet', 'none is left');

# GetObjectAttributes

sub attributes {
    my ($target, $names) = @_;
    return $t->get("$target?attributes", headers => [
        defined $names ? [ 'x-amz-object-attributes' => $names ] : () ]);
}

$r = attributes('/bucket/k', 'ETag,ObjectSize,StorageClass,ObjectParts');
is($r->{status}, 200, 'attributes');
like($r->{body}, qr{<ETag>@{[ md5_hex('hello') ]}</ETag>}, 'ETag, no quotes');
like($r->{body}, qr{<ObjectSize>5</ObjectSize>}, 'size');
like($r->{body}, qr{<StorageClass>STANDARD</StorageClass>}, 'class');
unlike($r->{body}, qr{ObjectParts|Checksum}, 'nothing else');
is($r->{headers}{'last-modified'},
    $t->head('/bucket/k')->{headers}{'last-modified'}, 'Last-Modified');
$r = attributes('/bucket/k', 'Checksum');
like($r->{body}, qr{<Checksum><ChecksumCRC64NVME>[^<]{12}</ChecksumCRC64NVME>},
    'checksum');
$r = attributes('/bucket/k', 'Nonsense');
is("$r->{status} $r->{code}", '400 InvalidArgument', 'unknown attribute');
$r = attributes('/bucket/k');
is("$r->{status} $r->{code}", '400 InvalidRequest', 'no attribute');
$r = attributes('/bucket/nosuch', 'ETag');
is("$r->{status} $r->{code}", '404 NoSuchKey', 'no such object');

$t->done();
