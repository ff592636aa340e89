#!/usr/bin/perl

# PutObject, GetObject, HeadObject, DeleteObject: status, headers and bytes.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

is($t->put('/bkt')->{status}, 200, 'create bucket');

$r = $t->put('/bkt/k', body => 'hello', headers => [
    [ 'Content-Type' => 'text/plain' ], [ 'Cache-Control' => 'max-age=60' ],
    [ 'Content-Disposition' => 'attachment' ], [ 'Content-Language' => 'en' ],
    [ Expires => 'Thu, 01 Dec 2033 16:00:00 GMT' ],
    [ 'x-amz-meta-Color' => 'blue' ], [ 'x-amz-meta-under_score' => 'a.b' ] ]);
is($r->{status}, 200, 'put');
is($r->{headers}{etag}, '"' . md5_hex('hello') . '"', 'etag is the MD5');
like($r->{headers}{'x-amz-request-id'}, qr/^[0-9A-F]{16}$/, 'request id');
is($r->{headers}{'x-amz-checksum-crc64nvme'}, 'M3eFcAZSQlc=',
    'a checksum is computed when the client sends none');
is($r->{headers}{'x-amz-checksum-type'}, 'FULL_OBJECT', 'its type');
is($r->{body}, '', 'no body');

for my $method (qw(GET HEAD)) {
    $r = $t->request($method, '/bkt/k');
    is($r->{status}, 200, "$method");
    is($r->{body}, $method eq 'GET' ? 'hello' : '', "$method body");
    is($r->{headers}{'content-length'}, 5, "$method length");
    is($r->{headers}{etag}, '"' . md5_hex('hello') . '"', "$method etag");
    is($r->{headers}{'content-type'}, 'text/plain', "$method type");
    is($r->{headers}{'cache-control'}, 'max-age=60', "$method cache-control");
    is($r->{headers}{'content-disposition'}, 'attachment', "$method disposition");
    is($r->{headers}{'content-language'}, 'en', "$method language");
    is($r->{headers}{expires}, 'Thu, 01 Dec 2033 16:00:00 GMT', "$method expires");
    is($r->{headers}{'x-amz-meta-color'}, 'blue', "$method metadata");
    is($r->{headers}{'x-amz-meta-under_score'}, 'a.b', "$method underscore");
    is($r->{headers}{'accept-ranges'}, 'bytes', "$method accept-ranges");
    like($r->{headers}{'last-modified'},
        qr/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/, "$method last-modified");
    ok(!exists $r->{headers}{'x-amz-checksum-crc64nvme'},
        "$method: no checksum unless asked");
    is(scalar(grep { lc $_->[0] eq 'content-length' } @{ $r->{list} }), 1,
        "$method: one Content-Length");
}

$r = $t->get('/bkt/k', headers => [ [ 'x-amz-checksum-mode' => 'ENABLED' ] ]);
is($r->{headers}{'x-amz-checksum-crc64nvme'}, 'M3eFcAZSQlc=', 'checksum mode');

$r = $t->get('/bkt/k?response-content-type=image/png'
    . '&response-cache-control=no-cache&response-content-disposition=inline'
    . '&response-content-language=de&response-content-encoding=identity'
    . '&response-expires=Thu%2C%2001%20Dec%202044%2016%3A00%3A00%20GMT');
is($r->{headers}{'content-type'}, 'image/png', 'response-content-type');
is($r->{headers}{'cache-control'}, 'no-cache', 'response-cache-control');
is($r->{headers}{'content-disposition'}, 'inline', 'response-content-disposition');
is($r->{headers}{'content-language'}, 'de', 'response-content-language');
is($r->{headers}{'content-encoding'}, 'identity', 'response-content-encoding');
is($r->{headers}{expires}, 'Thu, 01 Dec 2044 16:00:00 GMT', 'response-expires');

# Sizes over every edge of the store: small, block, unit, stripe.
for my $size (0, 1, 65535, 65536, 65537, 262144, 1048575, 1048577, 3000000) {
    my $body = join '', map { pack 'N', $_ } 0 .. $size / 4;
    $body = substr $body, 0, $size;
    $r = $t->put("/bkt/size/$size", body => $body);
    is($r->{status}, 200, "put $size bytes");
    $r = $t->get("/bkt/size/$size");
    ok($r->{body} eq $body, "get $size bytes");
    is($r->{headers}{'content-length'}, $size, "length $size");
    is($r->{headers}{etag}, '"' . md5_hex($body) . '"', "etag $size");
    is($r->{headers}{'content-type'}, 'binary/octet-stream', 'default type');
}

# Verification of what the client says.
$r = $t->put('/bkt/bad', body => 'x', headers => [ [ 'Content-MD5' => 'nonsense' ] ]);
is("$r->{status} $r->{code}", '400 InvalidDigest', 'malformed Content-MD5');
$r = $t->put('/bkt/bad', body => 'x',
    headers => [ [ 'Content-MD5' => md5_base64('y') . '==' ] ]);
is("$r->{status} $r->{code}", '400 BadDigest', 'wrong Content-MD5');
$r = $t->put('/bkt/bad', body => 'x', sha256 => 'a' x 64);
is("$r->{status} $r->{code}", '400 XAmzContentSHA256Mismatch', 'wrong SHA-256');
$r = $t->put('/bkt/bad', body => 'x',
    headers => [ [ 'x-amz-checksum-crc32' => 'AAAAAA==' ] ]);
is("$r->{status} $r->{code}", '400 BadDigest', 'wrong checksum');
is($r->{message}, 'The CRC32 you specified did not match the calculated checksum.',
    'its message');
$r = $t->put('/bkt/bad', body => 'x',
    headers => [ [ 'x-amz-checksum-crc32' => 'AAAA' ] ]);
is("$r->{status} $r->{code}", '400 InvalidRequest', 'checksum of wrong length');
is($r->{message}, 'Value for x-amz-checksum-crc32 header is invalid.', 'its message');
$r = $t->put('/bkt/bad', body => '123456789', headers => [
    [ 'x-amz-checksum-crc32' => 'y/Q5Jg==' ],
    [ 'x-amz-checksum-crc32c' => '4waSgw==' ] ]);
is("$r->{status} $r->{code}", '400 InvalidRequest', 'two checksums');
is($r->{message}, 'Expecting a single x-amz-checksum- header. Multiple checksum '
    . 'Types are not allowed.', 'its message');
$r = $t->put('/bkt/bad', body => 'x',
    headers => [ [ 'x-amz-sdk-checksum-algorithm' => 'CRC32' ] ]);
is("$r->{status} $r->{code}", '400 InvalidRequest', 'announced, not sent');
is($t->get('/bkt/bad')->{status}, 404, 'nothing was stored on any error');

my %checksums = (crc32 => 'y/Q5Jg==', crc32c => '4waSgw==',
    crc64nvme => 'rosUhgp5mIg=', sha1 => '98O8HYCOBHMq32eZZczDTKeuNEE=',
    sha256 => 'FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=');
for my $name (sort keys %checksums) {
    $r = $t->put('/bkt/sum', body => '123456789',
        headers => [ [ "x-amz-checksum-$name" => $checksums{$name} ] ]);
    is($r->{status}, 200, "$name accepted");
    is($r->{headers}{"x-amz-checksum-$name"}, $checksums{$name}, "$name echoed");
    $r = $t->head('/bkt/sum', headers => [ [ 'x-amz-checksum-mode' => 'ENABLED' ] ]);
    is($r->{headers}{"x-amz-checksum-$name"}, $checksums{$name}, "$name stored");
}

# Overwrite, delete.
$t->put('/bkt/k', body => 'new');
$r = $t->get('/bkt/k');
is($r->{body}, 'new', 'read after overwrite');
ok(!exists $r->{headers}{'x-amz-meta-color'}, 'metadata is replaced');
$r = $t->delete('/bkt/k');
is($r->{status}, 204, 'delete');
is($r->{body}, '', 'no body');
$r = $t->get('/bkt/k');
is("$r->{status} $r->{code}", '404 NoSuchKey', 'gone');
like($r->{body}, qr{<Key>k</Key>}, 'the key is named');
like($r->{body}, qr{<RequestId>$r->{headers}{'x-amz-request-id'}</RequestId>},
    'the body has the header\'s request id');
like($r->{body}, qr{<Resource>/bkt/k</Resource>}, 'resource');
is($r->{headers}{'content-type'}, 'application/xml', 'errors are XML');
$r = $t->head('/bkt/k');
is($r->{status}, 404, 'HEAD of nothing');
is($r->{body}, '', 'has no body');
is($t->delete('/bkt/k')->{status}, 204, 'delete again');

# Limits.
$r = $t->put('/bkt/' . 'k' x 1024, body => 'x');
is($r->{status}, 200, 'key of 1024 bytes');
$r = $t->put('/bkt/' . 'k' x 1025, body => 'x');
is("$r->{status} $r->{code}", '400 KeyTooLongError', 'key of 1025 bytes');
like($r->{body}, qr{<Size>1025</Size><MaxSizeAllowed>1024</MaxSizeAllowed>}, 'sizes of keys');
$r = $t->put('/bkt/m', body => 'x', headers => [ [ 'x-amz-meta-a' => 'v' x 2048 ] ]);
is("$r->{status} $r->{code}", '400 MetadataTooLarge', 'metadata over 2 KiB');
$r = $t->put('/nosuch/k', body => 'x');
is("$r->{status} $r->{code}", '404 NoSuchBucket', 'no bucket');
$r = $t->put('/bkt/k', no_length => 1, sign => 1);
is("$r->{status} $r->{code}", '411 MissingContentLength', 'no length');

# What is not allowed of what, and what is.
for ([ POST => '/', 'SERVICE', 'GET' ], [ PATCH => '/bkt', 'BUCKET', 'GET, HEAD, PUT, POST, DELETE' ],
    [ POST => '/bkt/k', 'OBJECT', 'GET, HEAD, PUT, DELETE' ],
    [ POST => '/bkt?policy', 'BUCKETPOLICY', 'GET, PUT, DELETE' ],
    [ DELETE => '/bkt/k?acl', 'ACL', 'GET, PUT' ])
{
    my ($method, $target, $type, $allow) = @$_;
    $r = $t->request($method, $target);
    is("$r->{status} $r->{code}", '405 MethodNotAllowed', "$method $target");
    is($r->{headers}{allow}, $allow, 'and what is allowed');
    like($r->{body}, qr{<Method>$method</Method><ResourceType>$type</ResourceType>}, 'of what');
}
$r = $t->head('/bkt/k?tagging');
is("$r->{status} $r->{headers}{allow} $r->{body}", '405 GET, PUT, DELETE ', 'HEAD of a sub-resource');

# What is not there yet says so.
for my $target ('/bkt?metadataTable', '/bkt?session', '/bkt/k?restore',
    '/bkt/k?torrent') {
    $r = $t->request('GET', $target);
    is("$r->{status} $r->{code}", '501 NotImplemented', "GET $target");
    $r = $t->request('PUT', $target, body => '<x/>');
    is("$r->{status} $r->{code}", '501 NotImplemented', "PUT $target");
}
is($t->get('/nosuch2')->{code}, 'NoSuchBucket', 'PUT ?website made no bucket');

$t->done();
