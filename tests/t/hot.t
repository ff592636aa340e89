#!/usr/bin/perl

# The hot index: what it answers is what s3d would answer, byte for byte, and
# what changes is seen by the next request.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use Digest::SHA qw(sha256_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

# A second server asks s3d always, a third one unpacks what it sends.
my $asking = Test::S3::free_port();
my $unpacking = Test::S3::free_port();
my $t = Test::S3->new(
    server => 'add_header X-Hot $s3_hot always;',
    http => "server { listen 127.0.0.1:$asking;"
        . ' location / { s3_pass s3d; s3_hot off; } }'
        . ' log_format hot "$s3_hot $status $uri";'
        . " server { listen 127.0.0.1:$unpacking; gunzip on; access_log DIR/hot.log hot;"
        . ' location / { s3_pass s3d; } location /static/ { s3_static s3d bkt; } }');
$t->{http} =~ s/DIR/$t->dir()/e;
$t->run();
my $r;

sub open_for_all {
    my ($bucket, @more) = @_;
    my $r = $t->put("/$bucket?policy", body => encode_json({
        Version => '2012-10-17',
        Statement => [ { Effect => 'Allow', Principal => '*',
            Action => 's3:GetObject', Resource => "arn:aws:s3:::$bucket/*",
            @more } ] }));
    $r->{status} == 204 or die "$r->{status} $r->{body}";
}

# Whether the last answer is the index's.
sub is_hot { return ($_[0]{headers}{'x-hot'} // '') eq 'HIT' }

# Asks, and for all of it too, until the index answers; the answer.
sub warm {
    my ($method, $target, %o) = @_;
    my @whole = grep { $_->[0] !~ /^(range|if-)/i } @{ $o{headers} || [] };
    my $r;
    for (1 .. 20) {
        $r = $t->request($method, $target, %o);
        return $r if is_hot($r);
        $t->request($method, $target, %o, headers => \@whole);
    }
    return $r;
}

# What is told of an answer, but for what is of each request.
sub shown {
    my ($r) = @_;
    return join "\n", "$r->{status} $r->{reason}",
        (map { "$_->[0]: $_->[1]" }
            grep { $_->[0] !~ /^(x-amz-request-id|x-amz-id-2|Date|X-Hot)$/i }
            @{ $r->{list} }), '', $r->{body};
}

sub asked_at {
    my ($port, $method, $target, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")
        or die "connect: $!";
    return $t->request($method, $target, host => $t->host(), %o,
        socket => $socket);
}

sub asked { return asked_at($asking, @_) }

$t->put("/$_") for qw(bkt other);
$t->delete('/bkt?publicAccessBlock');
open_for_all('bkt');

# --- an answer that fails when it has begun ---------------------------------------
# There is no other one then; nor an alert, for which done() looks.
$t->put('/bkt/broken', body => 'not of gzip' x 9,
    headers => [ [ 'Content-Encoding', 'gzip' ] ]);
for my $target ('/bkt/broken', '/static/broken') {
    my $status;
    $t->wait_for('a hot answer', sub {
        $r = asked_at($unpacking, 'GET', $target, sign => 0);
        ($status) = $t->read_file('hot.log') =~ /^HIT (\d+) \Q$target\E$/m;
    });
    is($status, 200, "$target: the status stays");
    ok($r->{status} == 0 || $r->{truncated}, "$target is cut off");
}
like($t->read_file('error.log'), qr/inflate\(\) failed/, 'it could not be unpacked');

# --- the same answers ----------------------------------------------------------
my %body = (plain => 'text' x 100, empty => '', large => 'x' x 7000,
    bigger => 'x' x 20000);
my @headers = (
    [ 'Content-Type', 'text/plain; charset=latin1' ],
    [ 'Cache-Control', 'max-age=60, public' ],
    [ 'Content-Disposition', 'attachment; filename="a b"' ],
    [ 'Content-Language', 'de' ], [ 'Content-Encoding', 'br' ],
    [ 'Expires', 'Thu, 01 Dec 2050 16:00:00 GMT' ],
    [ 'x-amz-meta-one', 'first' ], [ 'x-amz-meta-two', "\xc3\xa4" ],
    [ 'x-amz-tagging', 'a=b&c=d' ],
    [ 'x-amz-website-redirect-location', '/elsewhere' ],
    [ 'x-amz-storage-class', 'STANDARD_IA' ]);
$t->put("/bkt/$_", body => $body{$_}) for sort keys %body;
$t->put('/bkt/all', body => 'all headers',
    headers => [ @headers, [ 'x-amz-checksum-sha256',
        sha256_base64('all headers') . '=' ] ]);
$t->put('/bkt/a%20b%2Fc/%C3%A4', body => 'a key to decode');
my $yesterday = Test::S3::amz_date(-3600);

# what, hot or not, request
my @same = (
    [ 'anybody', 1, 'GET', '/bkt/plain', sign => 0 ],
    [ 'signed', 1, 'GET', '/bkt/plain' ],
    [ 'a link', 1, 'GET', $t->presign('GET', '/bkt/plain'),
        sign => 0 ],
    [ 'HEAD', 1, 'HEAD', '/bkt/plain' ],
    [ 'HEAD of anybody', 1, 'HEAD', '/bkt/plain', sign => 0 ],
    [ 'empty', 1, 'GET', '/bkt/empty', sign => 0 ],
    [ 'HEAD of empty', 1, 'HEAD', '/bkt/empty', sign => 0 ],
    [ 'all headers', 1, 'GET', '/bkt/all', sign => 0 ],
    [ 'HEAD of all headers', 1, 'HEAD', '/bkt/all', sign => 0 ],
    [ 'a key to decode', 1, 'GET', '/bkt/a%20b%2Fc/%C3%A4', sign => 0 ],
    [ '7000 bytes', 1, 'GET', '/bkt/large' ],
    [ '20000 bytes', 0, 'GET', '/bkt/bigger' ],
    [ 'HEAD of 20000 bytes', 1, 'HEAD', '/bkt/bigger' ],
    [ 'x-id', 1, 'GET', '/bkt/plain?x-id=GetObject' ],
    [ 'User-Agent', 1, 'GET', '/bkt/plain', sign => 0,
        headers => [ [ 'User-Agent', 'a' ], [ 'Referer', 'b' ] ] ],
    [ 'Accept-Encoding', 1, 'GET', '/bkt/plain', sign => 0,
        headers => [ [ 'Accept-Encoding', 'gzip' ] ] ],
    [ 'Origin', 0, 'GET', '/bkt/plain', sign => 0,
        headers => [ [ 'Origin', 'http://a' ] ] ],
    [ 'a part', 0, 'GET', '/bkt/plain?partNumber=1' ],
    [ 'a version', 0, 'GET', '/bkt/plain?versionId=null' ],
    [ 'another type', 0, 'GET', '/bkt/plain?response-content-type=a/b' ],
    [ 'another type for anybody', 0, 'GET',
        '/bkt/plain?response-content-type=a/b', sign => 0 ],
    [ 'tags', 0, 'GET', '/bkt/plain?tagging' ],
    [ 'checksums', 1, 'GET', '/bkt/plain',
        headers => [ [ 'x-amz-checksum-mode', 'ENABLED' ] ] ],
    [ 'HEAD with checksums', 1, 'HEAD', '/bkt/plain', sign => 0,
        headers => [ [ 'x-amz-checksum-mode', 'ENABLED' ] ] ],
    [ 'checksums that are not asked for', 1, 'GET', '/bkt/plain' ],
    [ 'checksums with all headers', 1, 'GET', '/bkt/all',
        headers => [ [ 'x-amz-checksum-mode', 'ENABLED' ] ] ],
    [ 'all headers again', 1, 'GET', '/bkt/all', sign => 0 ],
    [ 'a checksum mode that is none', 0, 'GET', '/bkt/plain',
        headers => [ [ 'x-amz-checksum-mode', 'enabled' ] ] ],
    [ 'another owner', 0, 'GET', '/bkt/plain',
        headers => [ [ 'x-amz-expected-bucket-owner', '000000000000' ] ] ],
    [ 'no key', 0, 'GET', '/bkt/none' ],
    [ 'no key of that name', 0, 'GET', '/bkt/plai', sign => 0 ],
    [ 'no bucket', 0, 'GET', '/none/plain' ],
    [ 'an unknown access key', 0, 'GET', '/bkt/plain',
        access_key => 'AKIAUNKNOWNUNKNOWNX0' ],
    [ 'a wrong signature', 0, 'GET', '/bkt/plain', secret_key => 'wrong' ],
    [ 'an old signature', 0, 'GET', '/bkt/plain', amz_date => $yesterday ],
    [ 'a body', 0, 'GET', '/bkt/plain', sign => 0, body => 'b',
        headers => [ [ 'Content-Length', 1 ] ], no_length => 1 ],
);

# --- conditions and ranges ------------------------------------------------------
my ($etag, $date) = @{ $t->head('/bkt/all')->{headers} }{qw(etag last-modified)};
my ($past, $future) = map { "Thu, 01 Dec $_ 16:00:00 GMT" } 1994, 2050;
for my $method (qw(GET HEAD)) {
    my $errors = $method eq 'GET'; # of HEAD they are s3d's
    for (
        [ 1, [ 'Range', 'bytes=1-3' ] ],
        [ 1, [ 'Range', 'bytes=0-0' ] ],
        [ 1, [ 'Range', 'bytes=4-' ] ],
        [ 1, [ 'Range', 'bytes=-5' ] ],
        [ 1, [ 'Range', 'bytes=-5000' ] ],
        [ 1, [ 'Range', 'bytes=5-500' ] ],
        [ 1, [ 'range', 'BYTES= 1 - 3 ' ] ],
        [ 1, [ 'Range', 'bytes=1-3,5-6' ] ],
        [ 1, [ 'Range', 'bytes=3-1' ] ],
        [ 1, [ 'Range', 'lines=1-3' ] ],
        [ 1, [ 'Range', 'bytes=' ] ],
        [ 1, [ 'Range', 'bytes=1-99999999999999999999999' ] ],
        [ $errors, [ 'Range', 'bytes=11-' ] ],
        [ $errors, [ 'Range', 'bytes=-0' ] ],
        [ $errors, [ 'Range', 'bytes=99999999999999999999999-' ] ],
        [ 0, [ 'Range', '' ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', $etag ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', $date ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', '"no"' ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', $future ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', '*' ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-None-Match', '"no"' ] ],
        [ 1, [ 'Range', 'bytes=1-3' ], [ 'x-amz-checksum-mode', 'ENABLED' ] ],
        [ 1, [ 'If-None-Match', $etag ] ],
        [ 1, [ 'If-None-Match', "W/$etag" ] ],
        [ 1, [ 'If-None-Match', "\"no\", $etag" ] ],
        [ 1, [ 'If-None-Match', '*' ] ],
        [ 1, [ 'If-None-Match', '"no"' ] ],
        [ 0, [ 'If-None-Match', '' ] ],
        [ 1, [ 'If-None-Match', $etag ], [ 'Range', 'bytes=1-3' ] ],
        [ 1, [ 'If-None-Match', $etag ], [ 'x-amz-checksum-mode', 'ENABLED' ] ],
        [ 1, [ 'If-None-Match', '"no"' ], [ 'If-Modified-Since', $future ] ],
        [ 0, [ 'If-None-Match', '"no"' ], [ 'If-None-Match', $etag ] ],
        [ 1, [ 'If-Modified-Since', $date ] ],
        [ 1, [ 'If-Modified-Since', $past ] ],
        [ 1, [ 'If-Modified-Since', $future ] ],
        [ 1, [ 'If-Modified-Since', 'yesterday' ] ],
        [ 1, [ 'If-Match', $etag ] ],
        [ 1, [ 'If-Match', '*' ] ],
        [ $errors, [ 'If-Match', '"no"' ] ],
        [ $errors, [ 'If-Match', '"no"' ], [ 'If-None-Match', $etag ] ],
        [ $errors, [ 'If-Match', "W/$etag" ] ],
        [ 1, [ 'If-Match', $etag ], [ 'If-Unmodified-Since', $past ] ],
        [ 1, [ 'If-Unmodified-Since', $date ] ],
        [ $errors, [ 'If-Unmodified-Since', $past ] ],
    ) {
        my ($hot, @headers) = @$_;
        push @same, [ join(' ', $method, map { @$_ } @headers), $hot, $method,
            '/bkt/all', sign => 0, headers => \@headers ];
    }
}
push @same,
    [ 'a range of what is empty', 1, 'GET', '/bkt/empty', sign => 0,
        headers => [ [ 'Range', 'bytes=0-' ] ] ],
    [ 'a range of 20000 bytes', 0, 'GET', '/bkt/bigger', sign => 0,
        headers => [ [ 'Range', 'bytes=0-1' ] ] ],
    [ 'a condition on 20000 bytes', 1, 'GET', '/bkt/bigger', sign => 0,
        headers => [ [ 'If-None-Match', '*' ] ] ],
    [ 'a signed range', 1, 'GET', '/bkt/plain',
        headers => [ [ 'Range', 'bytes=1-3' ] ] ];

sub normal {
    my ($text) = @_;
    $text =~ s/[0-9A-F]{16}/ID/g; # request ids, in error documents
    $text =~ s/\d{8}T\d{6}Z|\d{4}-\d\d-\d\dT[\d:]+Z/TIME/g;
    $text =~ s{<(\w+)>[^<]*</\1>}{<$1/>}g if $text =~ /SignatureDoesNotMatch/;
    return $text;
}

for (@same) {
    my ($what, $hot, @request) = @$_;
    my $r = $hot ? warm(@request) : do {
        $t->request(@request) for 1 .. 3;
        $t->request(@request);
    };
    is(is_hot($r), !!$hot, "$what: " . ($hot ? 'hot' : 'asked'));
    is(normal(shown($r)), normal(shown(asked(@request))), "$what: the same");
}

sub md5 { return [ 'Content-MD5', md5_base64($_[0]) . '==' ] }

# --- a client that has it already asks for nothing else --------------------------
$t->put("/bkt/$_", body => $body{$_}) for qw(plain bigger);
for (qw(plain bigger)) {
    my @request = ('GET', "/bkt/$_", sign => 0,
        headers => [ [ 'If-None-Match', '*' ] ]);
    my $r;
    $r = $t->request(@request) for 1 .. 3;
    ok(is_hot($r), "$_: 304 makes it hot");
    is(normal(shown($r)), normal(shown(asked(@request))), "$_: the same");
    is($t->get("/bkt/$_", sign => 0)->{body}, $body{$_}, "$_: all of it");
    is(normal(shown($t->head("/bkt/$_", sign => 0))),
        normal(shown(asked('HEAD', "/bkt/$_", sign => 0))), "$_: its headers");
}

# --- changes are seen ----------------------------------------------------------
# Each: what is read before is hot, what is read after is the change.
sub sees {
    my ($what, $request, $change, $check) = @_;
    my @request = @$request;
    ok(is_hot(warm(@request)), "$what: hot before");
    $change->();
    my $r = $t->request(@request);
    ok(!is_hot($r) && $check->($r), "$what: seen")
        or diag("$r->{status} $r->{body}");
}

my @open = ('GET', '/bkt/plain', sign => 0);
my @signed = ('GET', '/bkt/plain');

sub body_is { my ($b) = @_; return sub { $_[0]{body} eq $b } }
sub status_is { my ($s) = @_; return sub { $_[0]{status} == $s } }

sees('PUT', \@open, sub { $t->put('/bkt/plain', body => 'two') }, body_is('two'));
sees('PUT under a range', [ @open, headers => [ [ 'Range', 'bytes=1-2' ] ] ],
    sub { $t->put('/bkt/plain', body => '2345') }, body_is('34'));
my $match = $t->head('/bkt/plain')->{headers}{etag};
sees('PUT under a tag', [ @open, headers => [ [ 'If-None-Match', $match ] ] ],
    sub { $t->put('/bkt/plain', body => 'two') }, status_is(200));
sees('PUT that makes a condition fail',
    [ @open, headers => [ [ 'If-None-Match', '"' . md5_hex('three') . '"' ] ] ],
    sub { $t->put('/bkt/plain', body => 'three') }, status_is(304));
sees('DELETE', \@open, sub { $t->delete('/bkt/plain') }, status_is(403));
$t->put('/bkt/plain', body => 'three');
sees('copy', \@open, sub {
    $t->put('/bkt/plain',
        headers => [ [ 'x-amz-copy-source', '/bkt/all' ] ]) },
    body_is('all headers'));
sees('DeleteObjects', \@signed, sub {
    my $xml = '<Delete><Object><Key>plain</Key></Object></Delete>';
    $t->post('/bkt?delete', body => $xml, headers => [ md5($xml) ]) }, status_is(404));
$t->put('/bkt/plain', body => 'four');
sees('tags', \@signed, sub {
    my $xml = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag>'
        . '</TagSet></Tagging>';
    $t->put('/bkt/plain?tagging', body => $xml, headers => [ md5($xml) ]) },
    sub { $_[0]{headers}{'x-amz-tagging-count'} eq '1' });
sees('a policy that goes', \@open,
    sub { $t->delete('/bkt?policy') }, status_is(403));
ok(is_hot(warm(@signed)), 'its owner still reads it');
is($t->request(@open)->{status}, 403, 'others do not');
open_for_all('bkt');
sees('a public access block', \@open, sub {
    $t->put('/bkt?publicAccessBlock', body =>
        '<PublicAccessBlockConfiguration><RestrictPublicBuckets>true'
        . '</RestrictPublicBuckets></PublicAccessBlockConfiguration>') },
    status_is(403));
$t->delete('/bkt?publicAccessBlock');
sees('versioning', \@open, sub {
    $t->put('/bkt?versioning', body => '<VersioningConfiguration>'
        . '<Status>Enabled</Status></VersioningConfiguration>') },
    sub { $_[0]{headers}{'x-amz-version-id'} eq 'null' });
my $version = $t->put('/bkt/plain', body => 'five')->{headers}{'x-amz-version-id'};
sees('a version that goes', \@open,
    sub { $t->delete("/bkt/plain?versionId=$version") }, body_is('four'));
sees('a delete marker', \@open,
    sub { $t->delete('/bkt/plain') }, status_is(403));
$t->put('/bkt/plain', body => 'six');

# --- who may -------------------------------------------------------------------
my $key = $t->ctl('user', 'add', 'ann');
my @ann = ('GET', '/bkt/plain', access_key => $key->{access_key},
    secret_key => $key->{secret_key});
ok(is_hot(warm(@ann)), 'a user that the policy lets in');
ok(is_hot(warm(@signed)), 'and the owner');
ok(is_hot($t->request(@ann)), 'both are known');
$t->write_file('deny.json', encode_json({ Version => '2012-10-17',
    Statement => [ { Effect => 'Deny', Action => '*', Resource => '*' } ] }));
sees('a policy of hers', \@ann, sub {
    $t->ctl('user', 'put-policy', 'ann', 'no', $t->dir() . '/deny.json')
        or diag('no policy was put') }, status_is(403));
ok(is_hot(warm(@signed)), 'the owner is let in again');
is($t->request(@ann)->{status}, 403, 'she is not');
ok(is_hot(warm(@open)), 'nor is everybody kept out');

sees('a key that is disabled', \@signed, sub {
    my $other = $t->ctl('key', 'add');
    $t->ctl('key', 'disable', $t->{access_key});
    @$t{qw(old_key old_secret)} = @$t{qw(access_key secret_key)};
    @$t{qw(access_key secret_key)} = @$other{qw(access_key secret_key)};
    @signed = ('GET', '/bkt/plain', access_key => $t->{old_key},
        secret_key => $t->{old_secret});
}, sub { 1 });
is($t->request(@signed)->{status}, 403, 'it is refused at once');
@signed = ('GET', '/bkt/plain');

# --- what is never hot -----------------------------------------------------------
sub never {
    my ($what, @request) = @_;
    my $r;
    $r = $t->request(@request) for 1 .. 5;
    ok(!is_hot($r), "$what is never hot");
    return $r;
}

open_for_all('bkt', Condition => { IpAddress =>
    { 'aws:SourceIp' => '127.0.0.0/8' } });
is(never('a condition', @open)->{status}, 200, 'though it holds');
open_for_all('bkt');
ok(is_hot(warm(@open)), 'without it it is');
$t->put('/bkt/sealed', body => 'sealed',
    headers => [ [ 'x-amz-server-side-encryption', 'AES256' ] ]);
never('what is encrypted', 'GET', '/bkt/sealed');
$t->put('/bkt?requestPayment', body => '<RequestPaymentConfiguration>'
    . '<Payer>Requester</Payer></RequestPaymentConfiguration>');
never('what the requester pays', @signed);

# --- only what is looked for is published ----------------------------------------
my @unlooked = ('GET', '/other/unlooked');
$t->put('/other/unlooked', body => 'by a server that asks always');
asked(@unlooked) for 1 .. 3;
ok(!is_hot($t->request(@unlooked)), 'not for a location without the index');
ok(is_hot(warm(@unlooked)), 'for one with it');

# --- an audit log hears of every request -----------------------------------------
my @other = ('GET', '/other/k');
$t->put('/other/k', body => 'seven');
ok(is_hot(warm(@other)), 'without one it is hot');
$t->stop('s3d');
$t->{s3d} = 'audit_log = "' . $t->dir() . '/audit.log";';
$t->start_s3d();
is(never('what is logged', @other)->{body}, 'seven', 'though it is read');
$t->stop('s3d');
$t->{s3d} = 'hot_index = { slot = "64K"; };';
$t->start_s3d();
my @bigger = ('GET', '/other/bigger');
$t->put('/other/bigger', body => $body{bigger});
# workers have the new index when they have found the new s3d
$t->wait_for('a new index', sub { is_hot(warm(@bigger)) });
ok(is_hot(warm(@bigger)), 'larger slots have room for 20000 bytes');
is(normal(shown($t->request(@bigger))), normal(shown(asked(@bigger))),
    'and the answer is the same');
$t->stop('s3d');
$t->{s3d} = 'hot_index = { size = "0"; };';
$t->start_s3d();
is(never('nothing of an index without room', @other)->{body}, 'seven',
    'though it is read');

$t->done();
