#!/usr/bin/perl

# Signatures that are replayed, expired, moved, cut and joined: what was signed
# counts, once and as it was signed.

use strict;
use warnings;

use Digest::SHA qw(sha256_base64 sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $bad = '403 SignatureDoesNotMatch';
my $denied = '403 AccessDenied';
my $r;

sub status {
    my ($r) = @_;
    return "$r->{status} " . ($r->{code} // '');
}

# What was sent is refused, and leaves nothing under the key.
sub refused {
    my ($r, $expected, $name) = @_;
    is(status($r), $expected, $name);
    is(status($t->get('/bkt/in')), '404 NoSuchKey', "$name: nothing is stored");
    return $r;
}

sub send_raw {
    my ($wire, $method) = @_;
    my $socket = $t->connect();
    $t->write_all($socket, $wire);
    return $t->read_response($socket, $method);
}

$t->put('/bkt');
$t->put('/bkt/k', body => 'secret data');

# --- time -----------------------------------------------------------------------

my $skewed = '403 RequestTimeTooSkewed';
for my $offset (-86400, -960, 960, 86400) {
    refused($t->put('/bkt/in', body => 'x', amz_date => Test::S3::amz_date($offset)),
        $skewed, "signed $offset seconds from now");
}
is($t->get('/bkt/k', amz_date => Test::S3::amz_date(-840))->{status}, 200,
    'within a quarter of an hour');
for (
    [ 'expired', amz_date => Test::S3::amz_date(-61), expires => 60 ],
    [ 'of tomorrow', amz_date => Test::S3::amz_date(86400) ],
) {
    my ($name, @o) = @$_;
    refused($t->get($t->presign('GET', '/bkt/k', @o), sign => 0), $denied,
        "a link, $name");
}
for my $expires (0, -1, 604801, '99999999999999999999', '1e9', '60 ', '', '0x60') {
    my $link = $t->presign('GET', '/bkt/k', expires => Test::S3::uri_escape($expires));
    refused($t->get($link, sign => 0), '400 AuthorizationQueryParametersError',
        "X-Amz-Expires=$expires");
}
for my $date ('20260101T000000', '2026-01-01T00:00:00Z', '20261301T000000Z',
    '20260101T240000Z', '-0260101T000000Z', '20260101T000000Z0', 'x' x 3000) {
    my $r = $t->put('/bkt/in', body => 'x', amz_date => $date);
    like(status($r), qr/^40[03] (AccessDenied|AuthorizationHeaderMalformed|InvalidArgument)$/,
        'x-amz-date: ' . substr $date, 0, 24);
}
refused($t->get('/bkt/k', amz_date => Test::S3::amz_date() =~ s/.$/z/r), $denied,
    'a date with a small z');

# --- replay ---------------------------------------------------------------------

# The same request again is the same request: nothing but what was signed can be
# done with it, to no other place.
my $put = $t->compose('PUT', '/bkt/once', body => 'once') . 'once';
is(send_raw($put)->{status}, 200, 'a request');
is(send_raw($put)->{status}, 200, 'again, the same');
for (
    [ 'to another bucket', sub { s{/bkt/}{/bkt2/} } ],
    [ 'to another key', sub { s{/once}{/in} } ],
    [ 'with another body', sub { s/once$/ONCE/ }, '400 XAmzContentSHA256Mismatch' ],
    [ 'as a delete', sub { s/^PUT/DELETE/ } ],
    [ 'as a copy', sub { s{\r\n\r\n}{\r\nx-amz-copy-source: /bkt/k\r\n\r\n} }, $denied ],
    [ 'as an append', sub { s{\r\n\r\n}{\r\nx-amz-write-offset-bytes: 4\r\n\r\n} },
        $denied ],
    [ 'public', sub { s{\r\n\r\n}{\r\nx-amz-acl: public-read\r\n\r\n} }, $denied ],
    [ 'with tags', sub { s{\r\n\r\n}{\r\nX-AMZ-TAGGING: a=b\r\n\r\n} }, $denied ],
    [ 'as a tagging', sub { s{/once }{/once?tagging } } ],
    [ 'as a policy', sub { s{/bkt/once }{/bkt?policy } } ],
    [ 'as a part', sub { s{/once }{/once?partNumber=1&uploadId=x } } ],
) {
    my ($name, $change, $expected) = @$_;
    local $_ = $put;
    $change->();
    isnt($_, $put, "$name: is another");
    refused(send_raw($_), $expected // $bad, "replayed $name");
}
is($t->get('/bkt/once')->{body}, 'once', 'the object is as it was');

# A header's signature is none for a link, nor the other way round.
my $head = $t->compose('GET', '/bkt/k');
my ($credential, $names, $signature) =
    $head =~ /Credential=(\S+?),SignedHeaders=(\S+?),Signature=(\w+)/;
my $when = $t->{last}{amz_date};
refused($t->get("/bkt/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
    . Test::S3::uri_escape($credential) . "&X-Amz-Date=$when&X-Amz-Expires=600"
    . "&X-Amz-SignedHeaders=host&X-Amz-Signature=$signature", sign => 0), $bad,
    'a header\'s signature in a link');
my $link = $t->presign('GET', '/bkt/k');
($signature) = $link =~ /Signature=(\w+)/;
refused(send_raw($head =~ s/Signature=\w+/Signature=$signature/r), $bad,
    'a link\'s signature in a header');
refused($t->get('/bkt/k', secret_key => ''), $bad, 'an empty secret');
refused($t->get('/bkt/k', access_key => 'AKIA' . '0' x 16), '403 InvalidAccessKeyId',
    'nobody\'s key');
refused($t->get('/bkt/k', access_key => '../master.key'), '400 AuthorizationHeaderMalformed',
    'a path for a key');

# --- order and doubles ------------------------------------------------------------

# Arguments are sorted before they are signed: of doubles the order is not
# signed, so it must not matter which one an attacker moves to the front.
$t->put("/bkt/list/$_", body => $_) for qw(a b);
for my $order ('prefix=list/a&prefix=list/b', 'prefix=list/b&prefix=list/a') {
    my ($first) = $order =~ m{list/(.)};
    my $list = $t->get("/bkt?$order");
    like($list->{body}, qr{<Prefix>list/$first</Prefix>}, 'the first counts');
    is(() = $list->{body} =~ /<Key>/g, 1, 'and one alone');
}
for (
    [ 'another algorithm', 'X-Amz-Algorithm=AWS4-HMAC-SHA512' ],
    [ 'another credential', 'X-Amz-Credential=x' ],
    [ 'another date', "X-Amz-Date=$when" ],
    [ 'another end', 'X-Amz-Expires=604800' ],
    [ 'other headers', 'X-Amz-SignedHeaders=host' ],
    [ 'a token', 'X-Amz-Security-Token=x' ],
    [ 'a hash', 'X-Amz-Content-Sha256=UNSIGNED-PAYLOAD' ],
    [ 'an acl', 'x-amz-acl=public-read' ],
    [ 'a source', 'X-Amz-Copy-Source=/bkt/k' ],
    [ 'a name in small letters', 'x-amz-expires=604800' ],
    [ 'an empty name', '=x' ],
    [ 'a version', 'versionId=null' ],
) {
    my ($name, $more) = @$_;
    for my $where ("$link&$more", $link =~ s/\?/?$more&/r) {
        my $r = $t->get($where, sign => 0);
        like(status($r), qr/^(403 SignatureDoesNotMatch|400 AuthorizationQueryParametersError)$/,
            "a link with $name more");
        unlike($r->{body}, qr/secret data/, 'and without an answer');
    }
}
refused($t->get($link =~ s/\?(.*)&(X-Amz-Date=[^&]*)/?$2&$1/r, sign => 0), '200 ',
    'the order is not signed');
for my $name (qw(Algorithm Credential Date Expires SignedHeaders)) {
    refused($t->get($link =~ s/X-Amz-$name=[^&]*&//r, sign => 0),
        '400 AuthorizationQueryParametersError', "a link without $name");
}
refused($t->get($link =~ s/&X-Amz-Signature.*//r, sign => 0),
    '400 AuthorizationQueryParametersError', 'a link without a signature');
refused($t->get($link =~ s/\?.*//r, sign => 0), $denied, 'a link without anything');
refused($t->get($link =~ s/X-Amz-/x-amz-/gr, sign => 0), $denied, 'in small letters');
for my $cut (1, 32, 63) {
    refused($t->get(substr($link, 0, -$cut), sign => 0), $bad, "$cut letters short");
}
refused($t->get("${link}0", sign => 0), $bad, 'a letter more');
refused($t->get($link . '%00', sign => 0), $bad, 'a NUL more');

# Headers of a link: x-amz-* must be signed; one in the query and as a header is
# what the header says, which is signed.
refused($t->put($t->presign('PUT', '/bkt/in'), sign => 0, body => 'x',
    headers => [ [ 'x-amz-acl' => 'private' ] ]), $denied, 'an unsigned header');
refused($t->put($t->presign('PUT', '/bkt/in'), sign => 0, body => 'x',
    headers => [ [ 'X-Amz-Meta-A' => 'b' ] ]), $denied, 'in capitals');
$r = $t->put($t->presign('PUT', '/bkt/both?x-amz-meta-a=query',
    headers => [ [ 'x-amz-meta-a' => 'header' ] ]), sign => 0, body => 'x',
    headers => [ [ 'x-amz-meta-a' => 'header' ] ]);
is($r->{status}, 200, 'in query and header');
is($t->get('/bkt/both')->{headers}{'x-amz-meta-a'}, 'header', 'it is the header\'s');

# --- chunks -----------------------------------------------------------------------

my @data = map { $_ x 8192 } 'a' .. 'd';

# Sends an upload whose chunks were changed on their way.
sub chunked {
    my ($expected, $name, $change, %o) = @_;
    my $data = join '', @data;
    my $head = $t->compose('PUT', '/bkt/in', no_length => 1, headers => [
        [ 'Content-Encoding' => 'aws-chunked' ],
        [ 'x-amz-decoded-content-length' => length $data ],
        $o{trailer} ? [ 'x-amz-trailer' => $o{trailer}[0] ] : () ],
        sha256 => 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
            . ($o{trailer} ? '-TRAILER' : ''));
    my @frame = (signed => 1, chunk => 8192, trailer => $o{trailer});
    my @chunks = $t->aws_chunked($data, @frame) =~ /([0-9a-f]+;.*?\r\n(?:.{8192}\r\n)?)/gs;
    my ($tail) = $t->aws_chunked($data, @frame) =~ /\r\n(0;.*)$/s;
    is(scalar @chunks, 5, "$name: five chunks");
    $chunks[4] = $tail;
    $change->(\@chunks, \@frame);
    my $wire = join '', @chunks;
    $head =~ s/\r\n\r\n$/"\r\nContent-Length: " . length($wire) . "\r\n\r\n"/e;
    my $r = send_raw($head . $wire);
    is(status($r), $expected, $name);
    is(status($t->get('/bkt/in')), $expected eq '200 ' ? '200 ' : '404 NoSuchKey',
        "$name: what is stored");
    $t->delete('/bkt/in');
}

my $incomplete = '400 IncompleteBody';
my @sum = (trailer => [ 'x-amz-checksum-sha256', sha256_base64(join '', @data) . '=' ]);
chunked('200 ', 'chunks as they were', sub { });
chunked('200 ', 'with a trailer', sub { }, @sum);
chunked($bad, 'two that change places', sub { @{ $_[0] }[0, 1] = @{ $_[0] }[1, 0] });
chunked($bad, 'one twice', sub { $_[0][1] = $_[0][0] });
chunked($incomplete, 'one left out', sub { splice @{ $_[0] }, 1, 1; });
chunked($bad, 'another\'s bytes', sub { $_[0][2] =~ s/\r\nc/\r\nX/ });
chunked($bad, 'another\'s signature', sub {
    my ($other) = $_[0][3] =~ /signature=(\w+)/;
    $_[0][2] =~ s/signature=\w+/signature=$other/;
});
chunked($bad, 'the request\'s own signature', sub {
    $_[0][0] =~ s/signature=\w+/signature=$t->{last}{signature}/;
});
chunked($bad, 'a chunk of another upload', sub {
    my ($chunks, $frame) = @_;
    $t->compose('PUT', '/bkt/another', sha256 => 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD');
    ($chunks->[0]) = $t->aws_chunked(join('', @data), @$frame) =~ /^(\w+;\S+\r\n.{8192}\r\n)/s;
});
chunked($incomplete, 'the end left out', sub { pop @{ $_[0] } });
chunked($incomplete, 'the end first', sub { unshift @{ $_[0] }, pop @{ $_[0] } });
chunked('400 MalformedTrailerError', 'a trailer that was not announced', sub {
    $_[0][4] =~ s/\r\n\r\n$/\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n/;
});
chunked('400 MalformedTrailerError', 'a trailer without its signature', sub {
    $_[0][4] =~ s/x-amz-trailer-signature:\w+\r\n//;
}, @sum);
chunked($bad, 'another trailer', sub {
    $_[0][4] =~ s/(sha256:)./$1 . '!'/e;
}, @sum);
chunked($bad, 'the last chunk\'s signature for the trailer\'s', sub {
    my ($other) = $_[0][4] =~ /^0;chunk-signature=(\w+)/;
    $_[0][4] =~ s/(trailer-signature:)\w+/$1$other/;
}, @sum);
chunked('400 MalformedTrailerError', 'two trailers', sub {
    $_[0][4] =~ s/(x-amz-checksum-sha256:.*?\r\n)/$1$1/;
}, @sum);
chunked('400 MalformedTrailerError', 'a trailer behind the signature', sub {
    $_[0][4] =~ s/\r\n\r\n$/\r\nx-amz-meta-a:b\r\n\r\n/;
}, @sum);

# Decoded lengths.
for my $length ('-1', '+5', '5 5', '0x5', '5,5', '9' x 19, '9' x 40, '18446744073709551621',
    '', 'five') {
    my $head = $t->compose('PUT', '/bkt/in', no_length => 1, headers => [
        [ 'Content-Encoding' => 'aws-chunked' ],
        [ 'x-amz-decoded-content-length' => $length ] ],
        sha256 => 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD');
    my $wire = $t->aws_chunked('12345', signed => 1);
    $head =~ s/\r\n\r\n$/"\r\nContent-Length: " . length($wire) . "\r\n\r\n"/e;
    my $r = send_raw($head . $wire);
    like(status($r), qr/^(411 MissingContentLength|400 EntityTooLarge|400 IncompleteBody)$/,
        "x-amz-decoded-content-length: $length");
    is(status($t->get('/bkt/in')), '404 NoSuchKey', 'nothing is stored');
}

# Anonymous, but with chunks that look signed.
refused($t->put('/bkt/in', sign => 0, body => 'x', headers => [
    [ 'x-amz-content-sha256' => 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' ],
    [ 'x-amz-decoded-content-length' => 1 ] ]), $denied, 'chunks without a seed');

is($t->get('/bkt/k')->{body}, 'secret data', 'the server still serves');
is(join(',', $t->get('/bkt')->{body} =~ m{<Key>(.*?)</Key>}g), 'both,k,list/a,list/b,once',
    'and holds what it held');
$t->done();
