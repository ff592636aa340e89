#!/usr/bin/perl

# aws-chunked bodies in all three forms, split anywhere, and their failures.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $body = join '', map { pack 'N', $_ } 1 .. 50_000;    # 200,000 bytes
my $size = length $body;
my $crc64 = [ 'x-amz-checksum-sha256', sha256_base64($body) . '=' ];
my $r;

$t->put('/bkt');

# Sends a framed body; `pieces` are the sizes in which it is written.
sub upload {
    my ($key, %o) = @_;
    my $payload = $o{signed}
        ? 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' . ($o{trailer} ? '-TRAILER' : '')
        : 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
    my @headers = (
        [ 'Content-Encoding' => $o{encoding} // 'aws-chunked' ],
        [ 'x-amz-decoded-content-length' => $o{decoded} // $size ],
        $o{trailer} ? [ 'x-amz-trailer' => $o{announce} // $o{trailer}[0] ] : (),
        $o{chunked} ? [ 'Transfer-Encoding' => 'chunked' ] : ());
    my $head = $t->compose('PUT', "/bkt/$key", headers => \@headers,
        sha256 => $payload, no_length => 1);
    my $framed = $t->aws_chunked($o{body} // $body, %o);
    $framed = $o{change}->($framed) if $o{change};
    my $wire = $framed;
    if ($o{chunked}) {
        $wire = join '', map { sprintf("%x\r\n", length) . "$_\r\n" }
            $framed =~ /(.{1,7777})/gs;
        $wire .= "0\r\n\r\n";
    } else {
        $head =~ s/\r\n\r\n$/"\r\nContent-Length: " . length($framed) . "\r\n\r\n"/e;
    }
    my $socket = $t->connect();
    $socket->setsockopt(6, 1, 1);    # TCP_NODELAY: the pieces stay apart
    if ($o{pieces}) {
        $t->write_all($socket, $head);
        $t->write_all($socket, $_) for unpack "(a$o{pieces})*", $wire;
    } else {
        $t->write_all($socket, $head . $wire);
    }
    return $t->read_response($socket);
}

for my $form ([ 'signed', signed => 1 ],
    [ 'signed with trailer', signed => 1, trailer => $crc64 ],
    [ 'unsigned with trailer', trailer => $crc64 ]) {
    my ($name, @o) = @$form;
    for my $chunk (8192, 65536, 65537, 300_000) {
        (my $key = "$name-$chunk") =~ tr/ /-/;
        $r = upload($key, @o, chunk => $chunk);
        is($r->{status}, 200, "$name, chunks of $chunk") or diag $r->{body};
        is($r->{headers}{etag}, '"' . md5_hex($body) . '"', 'etag of the bytes');
        $r = $t->get("/bkt/$key");
        ok($r->{body} eq $body, 'the bytes without framing');
        ok(!exists $r->{headers}{'content-encoding'}, 'no Content-Encoding');
    }
    is(upload('split', @o, pieces => 997)->{status}, 200, "$name in small pieces");
    ok($t->get('/bkt/split')->{body} eq $body, 'same bytes');
    is(upload('te', @o, chunked => 1)->{status}, 200,
        "$name with Transfer-Encoding: chunked");
    ok($t->get('/bkt/te')->{body} eq $body, 'same bytes');
    my ($id) = $t->request('POST', '/bkt/parts?uploads')->{body}
        =~ m{<UploadId>(.*?)</UploadId>};
    $r = upload("parts?partNumber=1&uploadId=$id", @o, pieces => 8191);
    is("$r->{status} $r->{headers}{etag}", '200 "' . md5_hex($body) . '"',
        "$name, a part");
    like($t->get("/bkt/parts?uploadId=$id")->{body}, qr{<Size>$size</Size>},
        'its size');
    is(upload('empty', @o, body => '', decoded => 0,
        $o[-1] && ref $o[-1] ? (trailer => [ 'x-amz-checksum-sha256',
            '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' ]) : ())->{status},
        200, "$name, empty");
}

upload('gzip', signed => 1, encoding => 'aws-chunked,gzip');
is($t->get('/bkt/gzip')->{headers}{'content-encoding'}, 'gzip',
    'other encodings are kept');
upload('gzip2', signed => 1, encoding => 'gzip, aws-chunked');
is($t->get('/bkt/gzip2')->{headers}{'content-encoding'}, 'gzip', 'in any order');

sub refused {
    my ($r, $expected, $name) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $name);
    is($t->get('/bkt/bad')->{status}, 404, "$name: nothing stored");
}

my @signed = (signed => 1);
my @trailed = (trailer => $crc64);
refused(upload('bad', @signed, change => sub {
    my $x = shift; substr($x, 200, 1) ^= "\1"; $x }),
    '403 SignatureDoesNotMatch', 'a changed byte');
refused(upload('bad', @signed, change => sub {
    my $x = shift; $x =~ s/(chunk-signature=)(.)/$1 . ($2 eq 'a' ? 'b' : 'a')/e; $x }),
    '403 SignatureDoesNotMatch', 'a changed chunk signature');
refused(upload('bad', signed => 1, trailer => $crc64, change => sub {
    my $x = shift;
    $x =~ s/(trailer-signature:)(.)/$1 . ($2 eq 'a' ? 'b' : 'a')/e; $x }),
    '403 SignatureDoesNotMatch', 'a changed trailer signature');
refused(upload('bad', @signed, decoded => $size + 1), '400 IncompleteBody',
    'fewer bytes than promised');
refused(upload('bad', @signed, decoded => $size - 1), '400 IncompleteBody',
    'more bytes than promised');
refused(upload('bad', @$_, change => sub { $_[0] . 'JUNK' }),
    '400 IncompleteBody', 'bytes behind the end') for \(@signed, @trailed);
refused(upload('bad', @signed, pieces => 50_000,
    change => sub { $_[0] . 'x' x 200_000 }),
    '400 IncompleteBody', 'many bytes behind the end');
refused(upload('bad', @signed, chunk => 4096), '400 InvalidChunkSizeError',
    'small chunks');
refused(upload('bad', trailer => [ 'x-amz-checksum-sha256', 'A' x 43 . '=' ]),
    '400 BadDigest', 'wrong trailer checksum');
refused(upload('bad', trailer => [ 'x-amz-checksum-crc32', 'AAAA' ]),
    '400 InvalidRequest', 'bad trailer checksum');
refused(upload('bad', @trailed, announce => 'x-amz-checksum-crc32'),
    '400 MalformedTrailerError', 'another trailer than announced');
$r = upload('bad', trailer => [ 'x-amz-nonsense', 'x' ]);
is($r->{status}, 400, 'an unknown trailer');
like($r->{message}, qr/The value specified in the x-amz-trailer header is not supported/,
    'its message');

for my $operation ('PUT /bkt/bad', 'PUT /bkt?versioning', 'POST /bkt?delete',
    'POST /bkt/bad?uploadId=x') {
    for my $payload (undef, 'UNSIGNED-PAYLOAD') {
        $r = $t->request((split ' ', $operation), body => 'x', sha256 => $payload,
            headers => [ [ 'x-amz-trailer' => 'x-amz-checksum-crc32' ] ]);
        refused($r, '400 InvalidRequest', "$operation: a trailer without chunks");
    }
}

$r = $t->put('/bkt/bad', no_length => 1,
    headers => [ [ 'Transfer-Encoding' => 'chunked' ] ],
    sha256 => 'UNSIGNED-PAYLOAD', raw => "3\r\nabc\r\n0\r\n\r\n");
is("$r->{status} $r->{code}", '411 MissingContentLength',
    'plain chunked without a decoded length');

$t->done();
