#!/usr/bin/perl

# Requests as no client writes them: heads that two readers could read in two
# ways, bodies that do not end, come slowly or are too large. Each is refused,
# or means what it means to everybody; the next client is served.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use IO::Select;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $hasty = '127.0.0.1:' . Test::S3::free_port(); # does not wait for long
my $t = Test::S3->new(http => <<"EOF_HTTP")->run();
    large_client_header_buffers 4 16k;
    server {
        listen $hasty;
        client_header_timeout 1s;
        location / {
            s3_pass s3d;
            client_body_timeout 1s;
        }
    }
EOF_HTTP
my $r;

$t->put('/bkt');
$t->put('/bkt/k', body => 'secret data');
$t->put('/bkt/other', body => 'other data');

sub status {
    my ($r) = @_;
    return "$r->{status} " . ($r->{code} // '');
}

sub send_raw {
    my ($wire, $method) = @_;
    my $socket = $t->connect();
    $t->write_all($socket, $wire);
    return ($t->read_response($socket, $method), $socket);
}

# After every attack: nothing is stored, and the server serves.
sub unharmed {
    my ($name) = @_;
    is(status($t->get('/bkt/in')), '404 NoSuchKey', "$name: nothing is stored");
    is($t->get('/bkt/k')->{body}, 'secret data', "$name: the server serves");
}

sub refused {
    my ($wire, $expected, $name) = @_;
    ($r) = send_raw($wire);
    like(status($r), qr/^(?:$expected)$/, $name);
    unlike($r->{body}, qr/secret data|other data/, "$name: no data");
    unharmed($name);
}

# A signed request with lines before its end that the signature does not know.
sub with {
    my ($method, $target, $lines, %o) = @_;
    return $t->compose($method, $target, %o) =~ s/\r\n\r\n$/\r\n$lines\r\n\r\n/r
        . ($o{body} // '');
}

# --- headers ----------------------------------------------------------------------

my $denied = '403 AccessDenied';
my $bad = '403 SignatureDoesNotMatch';
for (
    [ 'another Host', 'Host: example.org', '400 BadRequest' ],
    [ 'the same Host again', 'Host: ' . $t->host(), '400 BadRequest' ],
    [ 'another Authorization', 'Authorization: AWS4-HMAC-SHA256 x', '400 BadRequest' ],
    [ 'a blank before the colon', 'x-amz-acl : public-read', "400 BadRequest|$denied" ],
    [ 'a tabulator before the colon', "x-amz-acl\t: public-read", "400 BadRequest|$denied" ],
    [ 'a blank before the name', ' x-amz-acl: public-read', "400 BadRequest|$bad|$denied" ],
    [ 'a folded line', "x-a: b\r\n x-amz-acl: public-read", '400 BadRequest' ],
    [ 'a NUL in a name', "x-amz-acl\0: public-read", '400 BadRequest' ],
    [ 'a NUL in a value', "x-amz-acl: public-read\0", '400 BadRequest' ],
    [ 'a lone CR', "x-a: b\rx-amz-acl: public-read", '400 BadRequest|200 ' ],
    [ 'no colon', 'x-amz-acl', "400 BadRequest|$denied" ],
    [ 'no name', ': public-read', '400 BadRequest' ],
    [ 'capitals', 'X-AMZ-ACL: public-read', $denied ],
    [ 'the date again', 'x-amz-date: 20200101T000000Z', $bad ],
    [ 'the hash again', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', $bad ],
    [ 'a token', 'x-amz-security-token: x', $denied ],
    [ 'a length again', 'Content-Length: 0', '400 BadRequest' ],
    [ 'chunked, too', 'Transfer-Encoding: chunked', '400 BadRequest' ],
    [ 'no coding that is known', 'Transfer-Encoding: x', '501 NotImplemented|400 BadRequest' ],
    [ 'a tabulator before chunked', "Transfer-Encoding:\tchunked", '400 BadRequest|501 NotImplemented' ],
    [ 'two codings', 'Transfer-Encoding: identity, chunked', '400 BadRequest|501 NotImplemented' ],
    [ 'an expectation of something else', 'Expect: 200-ok', '417 |200 ' ],
) {
    my ($name, $lines, $expected) = @$_;
    my $takes = $expected =~ s/\|200 $//;
    my $wire = with('PUT', $takes ? '/bkt/taken' : '/bkt/in', $lines, body => 'abc');
    if ($takes) {    # a server may take it; then it means nothing
        ($r) = send_raw($wire);
        like(status($r), qr/^(?:$expected|200 )$/, $name);
        $r = $t->get('/bkt/taken?acl');
        unlike($r->{body}, qr/AllUsers/, "$name: nothing is public");
        $t->delete('/bkt/taken');
    } else {
        refused($wire, $expected, $name);
    }
}

# Names with underscores mean nothing, whoever reads them as hyphens.
($r) = send_raw(with('PUT', '/bkt/under', "x_amz_meta_a: b\r\nx_amz_acl: public-read\r\n"
    . 'x_amz_copy_source: /bkt/k', body => 'abc'));
is($r->{status}, 200, 'underscores are ignored');
$r = $t->get('/bkt/under');
is($r->{body}, 'abc', 'the body is the body');
ok(!grep({ /x-amz-meta|x_amz/ } keys %{ $r->{headers} }), 'and nothing else');

# --- targets and hosts --------------------------------------------------------------

my $host = $t->host();
for my $target ('http://example.org/bkt/k', 'http://127.0.0.2/bkt/k', "http://$host\@example.org/bkt/k",
    'http:///bkt/k', 'https:/bkt/k', 'bkt/k', '*', '', '/bkt/%', '/bkt/%4', '/bkt/%zz',
    '/bkt/k%00', '/bkt/%ff', '/bkt/k#x', '/%00', '/bkt/%c0%ae%c0%ae/k', '/bkt/%ed%a0%80') {
    my $head = $t->compose('GET', '/bkt/k') =~ s{^GET \S+}{GET $target}r;
    ($r) = send_raw($head);
    like($r->{status}, qr/^(400|403|404)$/, "GET $target");
    unlike($r->{body}, qr/secret data/, 'no data');
}
unharmed('targets');
# The authority of a target must be the host that is signed.
($r) = send_raw($t->compose('GET', '/bkt/k') =~ s{^GET }{GET http://$host}r);
is($r->{body}, 'secret data', 'an absolute target');
for my $name ('bkt.example.org', '127.0.0.1', 'bkt', '..', 'bkt.127.0.0.1', "a\@$host") {
    ($r) = send_raw($t->compose('GET', '/bkt/k') =~ s/^Host: \S+/Host: $name/mr);
    like(status($r), qr/^(?:403 SignatureDoesNotMatch|400 .*)$/, "Host: $name");
}
($r) = send_raw($t->compose('GET', '/bkt/k') =~ s/Host: \S+\r\n//r);
is($r->{status}, 400, 'no Host');
for my $line ('GET /bkt/k', 'GET /bkt/k HTTP/9.9', 'GET  /bkt/k HTTP/1.1 x', "\0\0\0\0",
    'GET /bkt/k HTTP/1.1 HTTP/1.1', "GET /bkt/k\rHTTP/1.1", 'get /bkt/k HTTP/1.1',
    'GET /bkt/k http/1.1', "PRI * HTTP/2.0") {
    my $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', '/bkt/k') =~ s/^.*?\r\n/$line\r\n/r);
    sysread $socket, my $answer, 65536;
    unlike($answer // '', qr/secret data/, 'the line: ' . ($line =~ s/[\0\r]/./gr));
}
for my $method ('TRACE', 'CONNECT', 'PATCH', 'PROPFIND', 'MOVE', 'COPY', 'LINK', 'PURGE') {
    ($r) = send_raw($t->compose($method, '/bkt/k'));
    like($r->{status}, qr/^(405|501|400|403)$/, $method);
    unlike($r->{body}, qr/secret data/, 'no data');
}
unharmed('methods');

# --- requests in requests -----------------------------------------------------------

my $inner = $t->compose('GET', '/bkt/other?smuggled');
my %framed = (
    'the client frames' => { sha256 => 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        headers => [ [ 'x-amz-decoded-content-length' => 3 ] ] },
    'nobody knows its length' => { sha256 => 'UNSIGNED-PAYLOAD' },
);
my $length = '411 MissingContentLength';
for my $how (sort keys %framed) {
    for (
        [ 'a length, too', "0\r\n\r\n", '400 BadRequest', "\r\nContent-Length: 4" ],
        [ 'a chunk of bad size', "xyz\r\n" ],
        [ 'a size that overflows', 'f' x 17 . "\r\n" ],
        [ 'a negative size', "-5\r\nabc" ],
        [ 'a size and a comment without end', '5;' . 'x' x 20_000 ],
        [ 'bytes behind a chunk', "3\r\nabcdef\r\n0\r\n\r\n" ],
    ) {
        my ($name, $body, $expected, $more) = @$_;
        my $head = with('PUT', '/bkt/in', 'Transfer-Encoding: chunked' . ($more // ''),
            no_length => 1, %{ $framed{$how} });
        ($r, my $socket) = send_raw("$head$body$inner");
        like(status($r), $expected ? qr/^$expected$/ : qr/^(400 .*|$length)$/,
            "$name, $how");
        is($t->read_response($socket)->{status}, 0,
            "$name, $how: no request comes out of a body");
        unharmed("$name, $how");
    }
}
unlike($t->read_file('access.log'), qr/smuggled/, 'no request was one');

# --- sizes ----------------------------------------------------------------------------

for (
    [ 'a long target', $t->compose('GET', '/bkt/' . 'k' x 20_000),
        '400 RequestHeaderSectionTooLarge' ],
    [ 'a long header', $t->compose('GET', '/bkt/k', headers =>
        [ [ 'x-amz-meta-a' => 'a' x 20_000 ] ]), '400 BadRequest' ],
    [ 'many headers', $t->compose('GET', '/bkt/k', headers =>
        [ map { [ "x-h$_" => 'a' x 8000 ] } 1 .. 20 ]), '400 BadRequest' ],
    [ 'a long key', $t->compose('PUT', '/bkt/' . 'k' x 1025, body => 'x') . 'x',
        '400 KeyTooLongError' ],
    [ 'much metadata', $t->compose('PUT', '/bkt/in', body => 'x', headers =>
        [ [ 'x-amz-meta-a' => 'a' x 2048 ] ]) . 'x', '400 MetadataTooLarge' ],
    [ 'a long name of a bucket', $t->compose('PUT', '/' . 'b' x 64), '400 InvalidBucketName' ],
    [ 'six terabytes', $t->compose('PUT', '/bkt/in', no_length => 1, headers =>
        [ [ 'Content-Length' => 6 << 40 ] ], sha256 => 'UNSIGNED-PAYLOAD'),
        '400 EntityTooLarge' ],
    [ 'a document that is too long', $t->compose('PUT', '/bkt?tagging', no_length => 1,
        headers => [ [ 'Content-Length' => 1 << 30 ] ], sha256 => 'UNSIGNED-PAYLOAD'),
        '400 MaxMessageLengthExceeded' ],
    [ 'a list that is too long', $t->compose('POST', '/bkt?delete', no_length => 1,
        headers => [ [ 'Content-Length' => 1 << 40 ] ], sha256 => 'UNSIGNED-PAYLOAD'),
        '400 MaxMessageLengthExceeded' ],
    [ 'a form without an end', "POST /bkt HTTP/1.1\r\nHost: $host\r\n"
        . "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
        . "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" . 'k' x 99_000,
        '400 MaxPostPreDataLengthExceeded' ],
) {
    refused(@$_[ 1, 2, 0 ]);
}

# Documents that grow, nest or repeat.
for (
    [ 'a deep document', '<Tagging>' x 20_000 ],
    [ 'an entity that grows', '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' . join('', map {
        "<!ENTITY a$_ \"" . '&a' . ($_ > 1 ? $_ - 1 : '') . ';' x 1 . '">' } 1 .. 20)
        . ']><Tagging><TagSet><Tag><Key>&a20;</Key><Value/></Tag></TagSet></Tagging>' ],
    [ 'a file', '<!DOCTYPE a SYSTEM "file:///etc/passwd"><Tagging/>' ],
    [ 'a thousand tags', '<Tagging><TagSet>' . join('', map {
        "<Tag><Key>$_</Key><Value/></Tag>" } 1 .. 1000) . '</TagSet></Tagging>',
        '400 BadRequest' ],
    [ 'bytes that are no text', "<Tagging>\xff\xfe\0</Tagging>" ],
    [ 'nothing', ' ' ],
) {
    my ($name, $document, $expected) = @$_;
    $r = $t->put('/bkt/k?tagging', body => $document,
        headers => [ [ 'Content-MD5' => md5_base64($document) . '==' ] ]);
    is(status($r), $expected // '400 MalformedXML', $name);
    unharmed($name);
}
$r = $t->put('/bkt?policy', body => '{"Version":"2012-10-17","Statement":' . '[' x 5000);
is(status($r), '400 MalformedPolicy', 'a deep policy');
$r = $t->put('/bkt?policy', body => ' ' x 30_000 . '{}');
is(status($r), '400 MalformedPolicy', 'a long policy');

# --- slow and broken off ----------------------------------------------------------------

# Heads and bodies that do not come hold nobody else up, and end.
my @slow = map { IO::Socket::INET->new(PeerAddr => $hasty) // die "connect: $!" } 1 .. 20;
my $upload = $t->compose('PUT', '/bkt/in', host => $hasty, body => 'x' x 100_000);
for my $i (0 .. $#slow) {
    my $piece = $i % 2 ? $upload . 'x' x 1000 : substr $upload, 0, 40;
    $t->write_all($slow[$i], $piece);
}
is($t->get('/bkt/k', host => $hasty, socket => IO::Socket::INET->new(PeerAddr => $hasty))
    ->{body}, 'secret data', 'others are served meanwhile');
for my $i (0 .. $#slow) {
    ok(IO::Select->new($slow[$i])->can_read(60), "slow client $i is cut off");
    sysread $slow[$i], my $answer, 65536;
    like($answer // '', qr{^(HTTP/1.1 408 |HTTP/1.1 400 BadRequest|$)}, 'and told so, or nothing');
}
unharmed('slow clients');

# Cut off at every place of a request.
my $whole = $t->compose('PUT', '/bkt/in', body => 'abc') . 'abc';
for my $size (grep { $_ % 29 == 0 || $_ > length($whole) - 6 } 1 .. length($whole) - 1) {
    my $socket = $t->connect();
    $t->write_all($socket, substr $whole, 0, $size);
    shutdown $socket, 1;
    1 while sysread $socket, my $some, 65536;
}
unharmed('requests that were cut off');

unlike($t->read_file('s3d.log'), qr/\Q$t->{secret_key}\E/, 'no secret in the log');
is(join(',', $t->get('/bkt')->{body} =~ m{<Key>(.*?)</Key>}g), 'k,other,under',
    'the bucket holds what it held');
$t->done();
