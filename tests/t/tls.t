#!/usr/bin/perl

# The same over TLS: uploads, downloads through sendfile's other path, ranges.

use strict;
use warnings;

use Digest::SHA qw(sha256_base64);
use FindBin;
use IO::Socket::SSL;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(listen => 'ssl http2');
$t->{server} = $t->self_signed();
$t->run();

{
    no warnings 'redefine';
    *Test::S3::connect = sub {
        my ($self) = @_;
        return IO::Socket::SSL->new(PeerAddr => $self->host(),
            SSL_verify_mode => SSL_VERIFY_NONE) || die "connect: $SSL_ERROR";
    };
}

my $big = join '', map { pack 'N', $_ } 1 .. 1_000_000;
my $r;

is($t->put('/bkt')->{status}, 200, 'create bucket');
is($t->put('/bkt/big', body => $big)->{status}, 200, 'put');
$r = $t->get('/bkt/big');
ok($r->{body} eq $big, 'get');
$r = $t->get('/bkt/big', headers => [ [ Range => 'bytes=1000-2000000' ] ]);
ok($r->{body} eq substr($big, 1000, 1_999_001), 'range');

for my $form ([ 'unsigned, with trailer', trailer =>
            [ 'x-amz-checksum-sha256', sha256_base64($big) . '=' ] ],
        [ 'signed', signed => 1 ]) {
    my ($name, %o) = @$form;
    my $head = $t->compose('PUT', '/bkt/chunked', no_length => 1,
        sha256 => $o{signed} ? 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
            : 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        headers => [ [ 'Content-Encoding' => 'aws-chunked' ],
            [ 'x-amz-decoded-content-length' => length $big ],
            $o{trailer} ? [ 'x-amz-trailer' => $o{trailer}[0] ] : () ]);
    my $framed = $t->aws_chunked($big, %o);
    $head =~ s/\r\n\r\n$/"\r\nContent-Length: " . length($framed) . "\r\n\r\n"/e;
    my $socket = $t->connect();
    $t->write_all($socket, $head . $framed);
    is($t->read_response($socket)->{status}, 200, "aws-chunked, $name");
    ok($t->get('/bkt/chunked')->{body} eq $big, 'without its framing');
}

# HTTP/2, by curl with its own SigV4.
my @curl = ('curl', '-sS', '-k', '--http2', '--max-time', 60,
    '--aws-sigv4', 'aws:amz:us-east-1:s3',
    '--user', "$t->{access_key}:$t->{secret_key}");
my $url = 'https://' . $t->host();
$t->write_file('big', $big);

sub curl {
    open my $p, '-|', @curl, @_ or die "curl: $!";
    local $/;
    my $out = <$p>;
    close $p;
    return $out;
}

is(curl('-o', '/dev/null', '-w', '%{http_code} %{http_version}',
    '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD',
    '-T', "$t->{dir}/big", "$url/bkt/h2"), '200 2', 'HTTP/2 upload');
ok(curl('-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', "$url/bkt/h2") eq $big,
    'HTTP/2 download');
ok($t->get('/bkt/h2')->{body} eq $big, 'the same over HTTP/1.1');
# A line "100 Continue" among the frames would break the connection.
is(curl('-o', '/dev/null', '-w', '%{http_code} %{http_version}',
    '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', '-H', 'Expect: 100-continue',
    '-T', "$t->{dir}/big", "$url/bkt/expected"), '200 2', 'HTTP/2 upload that expects');
is(curl('-I', '-o', '/dev/null', '-w', '%{http_code}',
    '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', "$url/bkt/h2"), '200',
    'HTTP/2 HEAD');

# A request of which :authority and Host say different things, byte by byte.
sub literal {
    my ($text) = @_;
    my ($rest, $length) = (length $text, '');
    return chr($rest) . $text if $rest < 127;
    for ($rest -= 127; $rest > 127; $rest >>= 7) {
        $length .= chr($rest & 127 | 128);
    }
    return "\x7f$length" . chr($rest) . $text;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream)
        . $payload;
}

sub take {
    my ($socket, $buffer, $size) = @_;
    while (length $$buffer < $size) {
        Test::S3::fill($socket, $buffer) or die 'closed';
    }
    return substr $$buffer, 0, $size, '';
}

# The status, which nginx names by its number in HPACK's static table.
sub h2_status {
    my (@headers) = @_;
    my $socket = IO::Socket::SSL->new(PeerAddr => $t->host(), SSL_alpn_protocols => ['h2'],
        SSL_verify_mode => SSL_VERIFY_NONE) || die "connect: $SSL_ERROR";
    $t->write_all($socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '')
        . frame(1, 5, 1, join '', map { "\0" . literal($_->[0]) . literal($_->[1]) } @headers));
    my $buffer = '';
    while (1) {
        my ($high, $low, $type) = unpack 'CnC', take($socket, \$buffer, 9);
        my $payload = take($socket, \$buffer, $high << 16 | $low);
        return { 0x88 => 200, 0x8c => 400 }->{ ord $payload } // 'another' if $type == 1;
    }
}

my @signed = grep { $_->[0] ne 'host' } map { /^([^:]+): (.*)/ ? [ lc $1, $2 ] : () }
    split /\r\n/, $t->compose('GET', '/bkt/h2');
my @hosts = ($t->host(), 'other.test');
for ([ '200', $hosts[0] ], [ '400', @hosts ], [ '400', reverse @hosts ]) {
    my ($expected, $authority, @host) = @$_;
    is(h2_status([ ':method' => 'GET' ], [ ':scheme' => 'https' ], [ ':path' => '/bkt/h2' ],
        [ ':authority' => $authority ], (map { [ host => $_ ] } @host), @signed),
        $expected, "HTTP/2, :authority $authority, Host " . ($host[0] // 'none'));
}

# forms of IAM, small and as large as they may be
my $form = 'Action=ListUsers&Version=2010-05-08&Pad=';
$t->write_file('form', $form . 'x' x (65536 - length $form));
like(curl('--aws-sigv4', 'aws:amz:us-east-1:iam', '-w', '%{http_code} %{http_version}',
    '-d', $_, "$url/"), qr{^<ListUsersResponse .*200 2$}, 'HTTP/2 form')
    for $form, "\@$t->{dir}/form";

$t->done();
