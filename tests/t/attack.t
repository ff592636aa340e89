#!/usr/bin/perl

# Attacks: nothing gets through, and what is refused is refused exactly.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use Fcntl ':mode';
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(http => 'large_client_header_buffers 4 16k;')->run();
my $r;

sub status {
    my ($r) = @_;
    return "$r->{status} " . ($r->{code} // '');
}

sub refused {
    my ($r, $expected, $name) = @_;
    is(status($r), $expected, $name);
    return $r;
}

$t->put('/bkt');
$t->put('/bkt/k', body => 'secret data');

# --- what a signature covers ----------------------------------------------------

my $sha256 = $Test::S3::EMPTY_SHA256;
my $bad = '403 SignatureDoesNotMatch';

# A signed request, changed by `change` on its way.
sub tampered {
    my ($expected, $name, $change, $method, $target, %o) = @_;
    my $head = $t->compose($method, $target, %o);
    my $before = $head;
    $change->($head);
    isnt($head, $before, "$name: something was changed");
    my $socket = $t->connect();
    $t->write_all($socket, $head . ($o{body} // ''));
    refused($t->read_response($socket, $method), $expected, $name);
}

$t->put('/bkt/other', body => 'other data');
tampered($bad, 'another key', sub { $_[0] =~ s{/bkt/k}{/bkt/other} }, 'GET', '/bkt/k');
tampered($bad, 'another method', sub { $_[0] =~ s/^GET/DELETE/ }, 'GET', '/bkt/k');
tampered($bad, 'one more argument', sub { $_[0] =~ s{/bkt\?}{/bkt?prefix=k&} },
    'GET', '/bkt?list-type=2');
tampered($bad, 'a doubled argument', sub { $_[0] =~ s{prefix=k}{prefix=k&prefix=} },
    'GET', '/bkt?prefix=k');
tampered($bad, 'an argument without value', sub { $_[0] =~ s{/bkt }{/bkt?uploads } },
    'GET', '/bkt');
tampered($bad, 'another Host', sub { $_[0] =~ s/Host: \S+/Host: example.org/ },
    'GET', '/bkt/k');
tampered($bad, 'another date of that day', sub {
    $_[0] =~ s/(x-amz-date: \d+T\d\d)(\d)/$1 . ($2 ^ 1)/e
}, 'GET', '/bkt/k');
tampered($bad, 'another region', sub { $_[0] =~ s{/us-east-1/}{/us-east-2/} },
    'GET', '/bkt/k');
tampered($bad, 'another payload hash', sub {
    $_[0] =~ s/(x-amz-content-sha256: )\w+/${1}UNSIGNED-PAYLOAD/
}, 'PUT', '/bkt/k', body => 'changed');
tampered('403 AccessDenied', 'one more x-amz- header', sub {
    $_[0] =~ s/\r\n\r\n/\r\nx-amz-copy-source: \/bkt\/other\r\n\r\n/
}, 'PUT', '/bkt/k');
tampered($bad, 'a signed header again', sub {
    $_[0] =~ s/(x-amz-date: \S+\r\n)/$1$1/
}, 'GET', '/bkt/k');
tampered($bad, 'a signed header is gone', sub { $_[0] =~ s/x-amz-meta-a: 1\r\n// },
    'PUT', '/bkt/k', headers => [ [ 'x-amz-meta-a' => 1 ] ], body => 'x');
# The body is what was signed, and no other.
$r = $t->put('/bkt/k', body => 'signed', raw => 'forged');
refused($r, '400 XAmzContentSHA256Mismatch', 'another body of the same length');

for (
    [ 'no signed headers', 'SignedHeaders=', '400 AuthorizationHeaderMalformed' ],
    [ 'a separator alone', 'SignedHeaders=;', '400 AuthorizationHeaderMalformed' ],
    [ 'a name twice', 'SignedHeaders=host;host;x-amz-content-sha256;x-amz-date',
        '400 AuthorizationHeaderMalformed' ],
    [ 'upper case', 'SignedHeaders=HOST;x-amz-content-sha256;x-amz-date',
        '400 AuthorizationHeaderMalformed' ],
    [ 'host is not signed', 'SignedHeaders=x-amz-content-sha256;x-amz-date',
        '403 AccessDenied' ],
    [ 'the date is not signed', 'SignedHeaders=host;x-amz-content-sha256',
        '403 AccessDenied' ],
    [ 'a header that is not there',
        'SignedHeaders=host;nothing;x-amz-content-sha256;x-amz-date', $bad ],
) {
    my ($name, $list, $expected) = @$_;
    tampered($expected, $name, sub { $_[0] =~ s/SignedHeaders=[^,]*/$list/ },
        'GET', '/bkt/k');
}
for (
    [ 'empty', '', '400 AuthorizationHeaderMalformed' ],
    [ 'short', 'ab', $bad ],
    [ 'zeros', '0' x 64, $bad ],
    [ 'long', 'a' x 4096, $bad ],
) {
    my ($name, $value, $expected) = @$_;
    tampered($expected, "signature: $name",
        sub { $_[0] =~ s/Signature=\w+/Signature=$value/ }, 'GET', '/bkt/k');
}
tampered($bad, 'signature: upper case',
    sub { $_[0] =~ s/Signature=\K(\w+)/uc $1/e }, 'GET', '/bkt/k');
tampered('400 AuthorizationHeaderMalformed', 'a component twice',
    sub { $_[0] =~ s/(Signature=\w+)/$1,$1/ }, 'GET', '/bkt/k');
tampered('400 BadRequest', 'two Authorization headers', sub {
    $_[0] =~ s/Authorization: /Authorization: Basic eDp5\r\nAuthorization: /
}, 'GET', '/bkt/k');
refused($t->get('/bkt/k', headers => [ [ 'x-amz-security-token' => 'x' ] ]),
    '400 InvalidToken', 'a session token of nobody');

# Pre-signed links.
my $link = $t->presign('GET', '/bkt/k');
my @anonymous = (sign => 0);
is($t->get($link, @anonymous)->{body}, 'secret data', 'a link works');
refused($t->get("$link&prefix=x", @anonymous), $bad, 'an argument more');
refused($t->get("$link&response-content-type=text/html", @anonymous), $bad,
    'a response header that was not signed');
refused($t->get("$link&X-Amz-Expires=604800", @anonymous), $bad, 'a longer life');
refused($t->get($link =~ s/Expires=600/Expires=604800/r, @anonymous), $bad,
    'another life');
refused($t->get($link =~ s{/bkt/k}{/bkt/other}r, @anonymous), $bad, 'another key');
refused($t->delete($link, @anonymous), $bad, 'another method');
refused($t->head($link, @anonymous), '403 ', 'HEAD is another method');
refused($t->get($link, @anonymous, headers => [ [ 'x-amz-meta-a' => 1 ] ]),
    '403 AccessDenied', 'an unsigned header');
refused($t->get($link, @anonymous, host => 'example.org'), $bad, 'another host');
refused($t->get("$link&X-Amz-Security-Token=x", @anonymous), $bad, 'a token');
refused($t->get($link), '400 InvalidArgument', 'in query and header at once');
refused($t->put($t->presign('GET', '/bkt/k'), @anonymous, body => 'x'), $bad,
    'a link to read does not write');
is($t->get("$link&X-Amz-Signature=" . '0' x 64, @anonymous)->{body}, 'secret data',
    'the first signature counts');
refused($t->get($link =~ s/(X-Amz-Signature=)/${1}0&$1/r, @anonymous), $bad,
    'and no other');

# --- one user and another -------------------------------------------------------

my $user = $t->ctl('account', 'add', 'plain');
my @as = (access_key => $user->{access_key}, secret_key => $user->{secret_key});
is($t->put('/mine', @as)->{status}, 200, 'a bucket of a user');
$r = $t->post('/bkt/big?uploads');
my ($id) = $r->{body} =~ m{<UploadId>(.*?)</};
ok($id, 'an upload of another');
my $part = '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>'
    . '<ETag>"0"</ETag></Part></CompleteMultipartUpload>';
my @source = (headers => [ [ 'x-amz-copy-source' => '/bkt/k' ] ]);
my $gone = '404 NoSuchUpload';
my $denied = '403 AccessDenied';

refused($t->put('/mine/x', @as, @source), $denied, 'copy of a foreign object');
refused($t->put("/mine/big?partNumber=1&uploadId=$id", @as, body => 'x'), $gone,
    'a part of a foreign upload');
refused($t->put("/bkt/big?partNumber=1&uploadId=$id", @as, body => 'x'), $denied,
    'in its bucket');
refused($t->put("/bkt/small?partNumber=1&uploadId=$id", body => 'x'), $gone,
    'under another key');
refused($t->get("/mine/big?uploadId=$id", @as), $gone, 'its parts');
refused($t->post("/mine/big?uploadId=$id", @as, body => $part), $gone, 'its completion');
refused($t->delete("/mine/big?uploadId=$id", @as), $gone, 'its end');
$r = $t->post('/mine/big?uploads', @as);
my ($own) = $r->{body} =~ m{<UploadId>(.*?)</};
refused($t->put("/mine/big?partNumber=1&uploadId=$own", @as, @source), $denied,
    'a part from a foreign object');
for my $source ('/mine/../bkt/k', '/mine/..%2fbkt%2fk', '/mine/%2e%2e/bkt/k') {
    refused($t->put('/mine/x', @as,
        headers => [ [ 'x-amz-copy-source' => $source ] ]), '404 NoSuchKey', $source);
}
for my $target ('/mine/../bkt/k', '/mine/..%2fbkt%2fk', '/mine/./../bkt/k') {
    refused($t->get($target, @as), '404 NoSuchKey', "$target is a key");
}
for my $target ('//bkt/k', '/%2fbkt/k', '/x/../bkt/k', '/BKT/k') {
    refused($t->get($target), '400 InvalidBucketName', "$target is no bucket");
}
for my $target ('/../bkt/k', '/.%2e/bkt/k', '/bkt/../../etc/passwd') {
    refused($t->get($target), '400 InvalidURI', "$target leads out");
}

# --- requests in requests ---------------------------------------------------------

# What follows a refused body on its connection is never taken for a request.
my $inner = "GET /bkt/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
my $zeros = '0' x 64;
my $incomplete = '400 IncompleteBody';

for (
    [ 'no size', "zz\r\n", $incomplete ],
    [ 'an empty size', "\r\n", $incomplete ],
    [ 'a sign', "-1;chunk-signature=$zeros\r\n", $incomplete ],
    [ 'a prefix', "0x64;chunk-signature=$zeros\r\n", $incomplete ],
    [ 'the largest size', 'f' x 16 . ";chunk-signature=$zeros\r\n", $incomplete ],
    [ 'a size that overflows', '1' . '0' x 16 . ";chunk-signature=$zeros\r\n",
        $incomplete ],
    [ 'zeros before a size', '0' x 15 . "64;chunk-signature=$zeros\r\n", $incomplete ],
    [ 'an endless line', '1' x 1100, $incomplete ],
    [ 'no signature', "64\r\n" . 'x' x 100, $bad ],
    [ 'two signatures', "64;chunk-signature=$zeros;chunk-signature=$zeros\r\n", $bad ],
    [ 'a lone line feed', "64;chunk-signature=$zeros\n", $bad ],
    [ 'an early end', "0;chunk-signature=$zeros\r\n\r\n", $incomplete ],
    [ 'bytes that no chunk has', "64;chunk-signature=$zeros\r\n" . 'x' x 101, $incomplete ],
) {
    my ($name, $body, $expected) = @$_;
    for my $missing (0, 5000) {
        my $head = $t->compose('PUT', '/bkt/in', no_length => 1, headers => [
            [ 'Content-Length' => $missing + length "$body$inner" ],
            [ 'Content-Encoding' => 'aws-chunked' ],
            [ 'x-amz-decoded-content-length' => 100 ] ],
            sha256 => 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD');
        my $socket = $t->connect();
        $t->write_all($socket, "$head$body$inner");
        $r = $t->read_response($socket);
        refused($r, $expected, "$name, $missing bytes missing");
        is($r->{headers}{connection}, 'close', 'and the connection ends');
        $t->write_all($socket, 'x' x $missing . $inner);
        is($t->read_response($socket)->{status}, 0, 'with nothing after it');
    }
}
refused($t->get('/bkt/in'), '404 NoSuchKey', 'none of it was stored');

# Two lengths.
for (
    [ [ 'Transfer-Encoding' => 'chunked' ], [ 'Content-Length' => 3 ] ],
    [ [ 'Content-Length' => 3 ], [ 'Content-Length' => 30 ] ],
    [ [ 'Content-Length' => '3, 30' ] ], [ [ 'Content-Length' => '+3' ] ],
    [ [ 'Content-Length' => '-3' ] ],
    [ [ 'Content-Length' => '99999999999999999999' ] ],
    [ [ Host => 'example.org' ], [ 'Content-Length' => 3 ] ],
) {
    my $socket = $t->connect();
    $t->write_all($socket, $t->compose('PUT', '/bkt/in', no_length => 1,
        body => 'abc', headers => $_) . "abc$inner");
    $r = $t->read_response($socket);
    is($r->{status}, 400, join ' and ', map { "$_->[0]: $_->[1]" } @$_);
    is($r->{headers}{connection}, 'close', 'and the connection ends');
}
unlike($t->read_file('access.log'), qr/smuggled/, 'no request came out of a body');

# A body of a request without one is read over.
my $socket = $t->connect();
$r = $t->get('/bkt/k', body => $inner, socket => $socket);
is($r->{body}, 'secret data', 'GET with a body');
is($t->get('/bkt/other', socket => $socket)->{body}, 'other data', 'and the next request');

# --- answers of requests ------------------------------------------------------------

# A connection to s3d that was left in the middle serves nobody else: whatever
# ends how, every answer is that of its request.
my %objects = map { ("o$_" => "object $_ " x (3 ** $_ * 8)) } 0 .. 8;
$t->put("/bkt/$_", body => $objects{$_}) for keys %objects;
srand 1;
my @names = sort keys %objects;
my $wrong = 0;

for (1 .. 400) {
    my $name = $names[ rand @names ];
    my $body = $objects{$name};
    my $what = int rand 6;
    my $socket = $t->connect();
    if ($what == 0) {    # a download that ends early
        $t->write_all($socket, $t->compose('GET', "/bkt/$name"));
        sysread $socket, my $some, 1 + rand 50_000;
    } elsif ($what == 1) {    # an upload that ends early
        $t->write_all($socket, $t->compose('PUT', '/bkt/in', body => 'x' x 90_000)
            . 'x' x rand 90_000);
    } elsif ($what == 2) {    # a refusal before the body has come
        $r = $t->put('/nosuch/in', body => 'x' x 200_000, socket => $socket);
        $wrong++ unless $r->{status} == 404 || $r->{status} == 0;
    } elsif ($what == 3) {    # and after it has come
        $r = $t->put('/bkt/in', body => 'x' x rand 90_000, socket => $socket,
            sha256 => sha256_hex($name));
        $wrong++ unless $r->{status} == 400;
    } elsif ($what == 4) {
        $r = $t->head("/bkt/$name", socket => $socket);
        $wrong++ unless $r->{headers}{'content-length'} == length $body;
    }
    $r = $t->get("/bkt/$name");
    $wrong++ unless $r->{status} == 200 && $r->{body} eq $body;
}
is($wrong, 0, 'every answer is that of its request');
refused($t->get('/bkt/in'), '404 NoSuchKey', 'no broken upload was stored');

# --- headers and documents ------------------------------------------------------------

for my $value ('a%0d%0ax-evil:%201', 'a%0ab', 'a%00b', 'a%7fb') {
    for my $name (qw(type disposition encoding language)) {
        $r = refused($t->get("/bkt/k?response-content-$name=$value"),
            '400 InvalidArgument', "response-content-$name=$value");
        ok(!exists $r->{headers}{'x-evil'}, 'no header of the client\'s making');
    }
}
for my $name ("A\r\nSet-Cookie: x=1\r\nB", 'A B', 'A:', "A\0", "A\x80") {
    my $escaped = join '', map { sprintf '%%%02X', ord } split //, $name;
    $link = $t->presign('PUT', "/bkt/k?X-Amz-Meta-$escaped");
    $r = refused($t->put($link, @anonymous, body => 'x'), '400 InvalidArgument',
        "no header is named $escaped");
    like($r->{body}, qr{<ArgumentName>X-Amz-Meta-A}, 'which the module says');
}
is($t->get('/bkt/k')->{body}, 'secret data', 'and nothing was stored');
$link = $t->presign('PUT', '/bkt/named?X-Amz-Meta-A%5FB.c=v');
is($t->put($link, @anonymous, body => 'x')->{status}, 200, 'a name that is one');
is($t->head('/bkt/named')->{headers}{'x-amz-meta-a_b.c'}, 'v', 'is stored');
is($t->put('/bkt/m', body => 'x', headers => [ [ 'x-amz-meta-a' => "1\x1b[2J\x012" ],
    [ 'Content-Type' => "a\x02b" ] ])->{status}, 200, 'control characters are stored');
$r = $t->get('/bkt/m');
unlike(join('', map { "@$_" } @{ $r->{list} }), qr/[\x00-\x1f\x7f]/,
    'and do not come back');
$r = refused($t->get('/bkt/%3CKey%3E%26%01%22'), '404 NoSuchKey', 'markup in a key');
like($r->{body}, qr{<Key>&lt;Key&gt;&amp;\xef\xbf\xbd&quot;</Key>}, 'is escaped');
my $dtd = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>';
refused($t->post('/bkt?delete', body => "$dtd<Delete><Object><Key>&a;</Key></Object>"
    . '</Delete>', headers => [ [ 'x-amz-sdk-checksum-algorithm' => 'SHA256' ],
    [ 'x-amz-checksum-sha256' => 'A' x 43 . '=' ] ]), '400 BadDigest',
    'a wrong checksum comes first');
{
    my $document = "$dtd<Delete><Object><Key>&a;</Key></Object></Delete>";
    my $sum = Digest::SHA::sha256_base64($document) . '=';
    $r = refused($t->post('/bkt?delete', body => $document,
        headers => [ [ 'x-amz-checksum-sha256' => $sum ] ]), '400 MalformedXML',
        'no entities');
    unlike($r->{body}, qr/root:/, 'no file of ours');
}

# Ranges cost nothing: one is served, many are not.
$r = $t->get('/bkt/k', headers => [ [ Range => 'bytes=' . join ',', ('0-') x 1000 ] ]);
is("$r->{status} " . length $r->{body}, '200 11', 'a thousand ranges');
for my $range ('bytes=18446744073709551615-', 'bytes=11-', 'bytes=-0') {
    refused($t->get('/bkt/k', headers => [ [ Range => $range ] ]), '416 InvalidRange',
        $range);
}

# --- files ------------------------------------------------------------------------

# Others of the machine can read nothing that matters.
for my $name (qw(master.key admin.sock s3d.sock drive0 drive0/metadata s3d.log)) {
    my $mode = S_IMODE((stat "$t->{dir}/$name")[2]);
    is($mode & 0007, 0, sprintf '%s has mode %04o', $name, $mode);
}
for my $name (qw(master.key admin.sock)) {
    my $mode = S_IMODE((stat "$t->{dir}/$name")[2]);
    is($mode, 0600, "$name is s3d's alone");
}
is(S_IMODE((stat "$t->{dir}/drive0/metadata")[2]), 0700, 'the metadata are too');
for my $path (glob "$t->{dir}/drive0/metadata/* $t->{dir}/drive0/metadata/*/*") {
    is((stat $path)[2] & 0007, 0, 'a file of the metadata');
}
for my $name (qw(s3d.log error.log access.log s3d.out nginx.out)) {
    unlike($t->read_file($name), qr/\Q$t->{secret_key}\E|\Q$user->{secret_key}\E/,
        "no secret in $name");
}

# One s3d: segments and generations of two would be mixed up.
my $conf = $t->nginx_conf();
my $two = $conf =~ s/(upstream s3d \{)/$1 server unix:$t->{dir}\/other.sock;/r;
my ($rc, $output) = $t->test_config($two);
is($rc, 1, 'two servers are refused');
like($output, qr/"s3_pass" needs a single server, "s3d" has 2/, 'and why');

$t->done();
