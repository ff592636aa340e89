#!/usr/bin/perl

# Signature Version 4 in header and query: what is right passes, and every
# failure has its own error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(location => 's3_key_timeout 5s;')->run();
my $r;

is($t->put('/bkt')->{status}, 200, 'signed in the header');
$t->put('/bkt/k', body => 'data');

sub refused {
    my ($r, $expected, $name) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $name);
    like($r->{body}, qr{<Message>[^<]+</Message>}, "$name: has a message");
    like($r->{body}, qr{<RequestId>[0-9A-F]{16}</RequestId>}, "$name: has an id");
    return $r;
}

refused($t->get('/bkt/k', sign => 0), '403 AccessDenied', 'anonymous');
$r = refused($t->get('/bkt/k', secret_key => 'wrong'), '403 SignatureDoesNotMatch',
    'wrong secret');
like($r->{body}, qr{<AWSAccessKeyId>$t->{access_key}</AWSAccessKeyId>}, 'key id');
like($r->{body}, qr{<StringToSign>AWS4-HMAC-SHA256\n}, 'string to sign');
like($r->{body}, qr{<CanonicalRequest>GET\n/bkt/k\n}, 'canonical request');
like($r->{body}, qr{<SignatureProvided>[0-9a-f]{64}</}, 'signature provided');
refused($t->get('/bkt/k', access_key => 'AKIANOSUCHKEY0000000'),
    '403 InvalidAccessKeyId', 'unknown key');
refused($t->get('/bkt/k', amz_date => Test::S3::amz_date(-1000)),
    '403 RequestTimeTooSkewed', 'too old');
refused($t->get('/bkt/k', amz_date => Test::S3::amz_date(1000)),
    '403 RequestTimeTooSkewed', 'from the future');
is($t->get('/bkt/k', amz_date => Test::S3::amz_date(-800))->{status}, 200,
    'within 15 minutes');
refused($t->get('/bkt/k', headers => [ [ 'x-amz-acl' => 'private' ] ],
    unsigned => [ 'x-amz-acl' ]), '403 AccessDenied', 'x-amz-* not signed');
refused($t->get('/bkt/k', unsigned => [ 'host' ]), '403 AccessDenied',
    'host not signed');
refused($t->get('/bkt/k', sha256 => 'nonsense'), '400 InvalidArgument',
    'bad x-amz-content-sha256');
is($t->get('/bkt/k', region => 'eu-west-1')->{status}, 200, 'any region');

for (
    [ 'AWS AKIA:sig', '400 InvalidRequest', 'signature version 2' ],
    [ 'AWS4-HMAC-SHA256 nonsense', '400 AuthorizationHeaderMalformed', 'nonsense' ],
    [ 'AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host,Signature=c',
        '400 AuthorizationHeaderMalformed', 'short credential' ],
) {
    my ($value, $expected, $name) = @$_;
    refused($t->get('/bkt/k', sign => 0, headers => [ [ Authorization => $value ],
        [ 'x-amz-date' => Test::S3::amz_date() ],
        [ 'x-amz-content-sha256' => $Test::S3::EMPTY_SHA256 ] ]),
        $expected, $name);
}

# Pre-signed.
for my $method (qw(GET HEAD)) {
    $r = $t->request($method, $t->presign($method, '/bkt/k'), sign => 0);
    is($r->{status}, 200, "pre-signed $method");
}
$r = $t->put($t->presign('PUT', '/bkt/p%20%2B%C3%A9?x-id=PutObject'), sign => 0,
    body => 'by link');
is($r->{status}, 200, 'pre-signed PUT');
$r = $t->get($t->presign('GET', '/bkt/p%20%2B%C3%A9'), sign => 0);
is($r->{body}, 'by link', 'is stored under the decoded key');
is($t->delete($t->presign('DELETE', '/bkt/p%20%2B%C3%A9'), sign => 0)->{status}, 204,
    'pre-signed DELETE');
refused($t->get($t->presign('GET', '/bkt/k') . '0', sign => 0),
    '403 SignatureDoesNotMatch', 'changed signature');
refused($t->put($t->presign('GET', '/bkt/k'), sign => 0, body => 'x'),
    '403 SignatureDoesNotMatch', 'another method');
$r = refused($t->get($t->presign('GET', '/bkt/k', expires => 60,
    amz_date => Test::S3::amz_date(-120)), sign => 0), '403 AccessDenied', 'expired');
is($r->{message}, 'Request has expired', 'says so');
refused($t->get($t->presign('GET', '/bkt/k', expires => 604801), sign => 0),
    '400 AuthorizationQueryParametersError', 'over a week');
refused($t->get($t->presign('GET', '/bkt/k', expires => 0), sign => 0),
    '400 AuthorizationQueryParametersError', 'zero seconds');
is($t->get($t->presign('GET', '/bkt/k', expires => 604800), sign => 0)->{status}, 200,
    'a week');
(my $short = $t->presign('GET', '/bkt/k')) =~ s/&X-Amz-Expires=\d+//;
refused($t->get($short, sign => 0), '400 AuthorizationQueryParametersError',
    'no expiry');

# SDKs move x-amz-* headers into the query of a pre-signed URL.
$r = $t->put($t->presign('PUT', '/bkt/hoisted?X-Amz-Meta-Hoisted=yes'
    . '&x-amz-checksum-crc32=y%2FQ5Jg%3D%3D'), sign => 0, body => '123456789');
is($r->{headers}{'x-amz-checksum-crc32'}, 'y/Q5Jg==', 'a checksum in the query');
is($t->get('/bkt/hoisted')->{headers}{'x-amz-meta-hoisted'}, 'yes',
    'metadata in the query');
refused($t->put($t->presign('PUT', '/bkt/hoisted?x-amz-checksum-crc32=y%2FQ5Jg%3D%3D'),
    sign => 0, body => 'other'), '400 BadDigest', 'is checked');

# Keys: deleted, disabled and new ones work at once.
my $user = $t->ctl('account', 'add', 'other', '--operator');
my @as = (access_key => $user->{access_key}, secret_key => $user->{secret_key});
is($t->get('/bkt/k', @as)->{status}, 200, 'another user\'s key');
$t->ctl('key', 'disable', $user->{access_key});
refused($t->get('/bkt/k', @as), '403 InvalidAccessKeyId', 'disabled key');
$t->ctl('key', 'enable', $user->{access_key});
is($t->get('/bkt/k', @as)->{status}, 200, 'enabled key');

# Another secret under the same key, at once; old ones are worthless.
my $again = $t->ctl('key', 'rotate', $user->{access_key});
my @new = (access_key => $user->{access_key}, secret_key => $again->{secret_key});
refused($t->get('/bkt/k', @as), '403 SignatureDoesNotMatch',
    'the old one does not, which a worker still has');
is($t->get('/bkt/k', @new)->{status}, 200, 'the new secret works at once');
refused($t->get('/bkt/k', @as), '403 SignatureDoesNotMatch', 'the old one does not');
is($t->get('/bkt/k', @new)->{status}, 200, 'which does not hurt the new one');

# Wrong signatures do not become questions to s3d: only one a second waits, of
# those in which they are read.
my $began = time;
$t->pause('s3d');
my @sockets = map { $t->connect() } 1 .. 20;
$t->write_all($_, $t->compose('GET', '/', @as)) for @sockets;
my %statuses = (403 => 0, 503 => 0);
$statuses{ $t->read_response($_)->{status} }++ for @sockets;
kill 'CONT', $t->{pids}{s3d};
cmp_ok($statuses{503}, '<=', 2 + time - $began, 'the others are told without s3d');
is($statuses{403} + $statuses{503}, 20, 'all are refused');
$t->ctl('key', 'delete', $user->{access_key});
refused($t->get('/bkt/k', @new), '403 InvalidAccessKeyId', 'deleted key');

# A user without rights sees nothing of another's bucket.
$user = $t->ctl('account', 'add', 'plain');
@as = (access_key => $user->{access_key}, secret_key => $user->{secret_key});
refused($t->get('/bkt/k', @as), '403 AccessDenied', 'another user\'s object');
refused($t->get('/bkt', @as), '403 AccessDenied', 'another user\'s list');
refused($t->put('/bkt/k2', @as, body => 'x'), '403 AccessDenied', 'may not write');
refused($t->put('/bkt', @as), '409 BucketAlreadyExists', 'name is taken');
is($t->put('/mine', @as)->{status}, 200, 'a bucket of their own');
unlike($t->get('/', @as)->{body}, qr{<Name>bkt</Name>}, 'lists only their own');

# No secret is in any log.
for my $name (qw(s3d.log error.log access.log s3d.out)) {
    unlike($t->read_file($name), qr/\Q$t->{secret_key}\E/, "no secret in $name");
}

$t->done();
