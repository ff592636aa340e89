#!/usr/bin/perl

# Errors that nginx makes itself are S3's documents too; error_page and other
# locations stay the administrator's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $port = Test::S3::free_port();
my $t = Test::S3->new(
    http => "server { listen 127.0.0.1:$port; return 404; location /x { s3_pass s3d; } }" . 'limit_req_zone $uri zone=limit:1m rate=1r/m;
        log_format s3 "$s3_request_id $s3_operation $s3_bucket $s3_key '
        . '$s3_access_key $s3_error_code";',
    server => '
        access_log "${dir}/s3.log" s3;
        location /limited { limit_req zone=limit; s3_pass s3d; }
        location /denied { deny all; s3_pass s3d; }
        location /small { client_max_body_size 10; s3_pass s3d; }
        location /paged { deny all; error_page 403 /page; s3_pass s3d; }
        location = /page { return 200 "a page of its own"; }
        location /outside { return 404; }
        location /direct/ { s3_pass unix:${dir}/s3d.sock; }
        gzip on; gzip_types *; gzip_min_length 1;');
$t->{server} =~ s/\$\{dir\}/$t->dir()/ge;
$t->run();

sub error_is {
    my ($r, $expected, $name) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $name);
    is($r->{headers}{'content-type'}, 'application/xml', "$name: type");
    like($r->{body}, qr{<Message>[^<]+</Message>}, "$name: message");
    like($r->{body}, qr{<RequestId>\Q$r->{headers}{'x-amz-request-id'}\E</},
        "$name: request id");
}

$t->put('/bkt');
$t->get('/limited');
error_is($t->get('/limited'), '503 SlowDown', 'limit_req');
error_is($t->get('/denied'), '403 AccessDenied', 'deny');
error_is($t->put('/small', body => 'x' x 100), '400 EntityTooLarge', 'too large');
error_is($t->put('/bkt/k', body => '', headers => [
    [ 'x-amz-decoded-content-length' => '5368709121' ] ],
    sha256 => 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'), '400 EntityTooLarge',
    'more than 5 GiB');
error_is($t->put('/bkt/k', no_length => 1), '411 MissingContentLength',
    'no length');
error_is($t->put('/bkt/k', no_length => 1, raw => "1\r\nx\r\n0\r\n\r\n",
    headers => [ [ 'Transfer-Encoding' => 'chunked' ] ]),
    '411 MissingContentLength', 'plain chunked');
error_is($t->get('/bkt/%zz'), '400 InvalidURI', 'a malformed target');

# What nginx refuses before it has chosen a location.
sub raw {
    my ($port, @lines) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 10)
        or die "connect: $!";
    $t->write_all($socket, join "\r\n", @lines, '', '');
    return $t->read_response($socket);
}
my @host = ('Host: ' . $t->host());
my $long = 'x' x 100_000;
error_is(raw($t->port(), "GET /bkt/$long HTTP/1.1", @host),
    '400 RequestHeaderSectionTooLarge', 'a long target');
error_is(raw($t->port(), 'GET /bkt HTTP/1.1', @host, "X: $long"), '400 BadRequest',
    'large headers');
error_is(raw($t->port(), 'GET /bkt HTTP/1.1', 'Host: a/b'), '400 BadRequest', 'no host');
error_is(raw($t->port(), 'GET /bkt HTTP/1.1', @host, @host), '400 BadRequest', 'two hosts');
error_is(raw($t->port(), 'GET /bkt HTTP/1.1'), '400 BadRequest', 'no Host');
error_is(raw($t->port(), 'PUT /bkt/k HTTP/1.1', @host, 'Content-Length: x'),
    '400 BadRequest', 'no length');
error_is(raw($t->port(), 'GET /bkt/%00 HTTP/1.1', @host), '400 InvalidURI', 'a zero byte');
my $r = raw($port, 'GET /bkt HTTP/1.1', @host);
is($r->{status}, 404, 'a server that answers for itself');
unlike($r->{body}, qr/<Error>/, 'with its own page');

$r = $t->head('/denied');
is("$r->{status} $r->{body}", '403 ', 'HEAD has no body');
is($r->{headers}{'content-length'}, undef, 'and no length of one');

is($t->get('/paged')->{body}, 'a page of its own', 'error_page is respected');
unlike($t->get('/outside')->{body}, qr/<Error>/, 'other locations are theirs');

# gzip is on for everything else in this server.
my @gzip = (headers => [ [ 'Accept-Encoding' => 'gzip' ] ]);
$t->put('/bkt/text', body => 'text ' x 1000,
    headers => [ [ 'Content-Type' => 'text/plain' ] ]);
$r = $t->get('/bkt/text', @gzip);
is($r->{headers}{'content-encoding'}, undef, 'objects are not compressed');
like($r->{headers}{etag}, qr/^"[0-9a-f]{32}"$/, 'and their ETag is strong');
is($t->get('/bkt/nosuch', @gzip)->{headers}{'content-encoding'}, undef,
    'nor are errors');

$t->put('/direct');
is($t->put('/direct/k', body => 'x')->{status}, 200, 's3_pass to a socket');
is($t->get('/direct/k')->{body}, 'x', 'without an upstream block');

$r = $t->get('/bkt/nosuch');
my $line = "$r->{headers}{'x-amz-request-id'} GetObject bkt nosuch "
    . "$t->{access_key} NoSuchKey\n";
$t->wait_for('the variables in the log',
    sub { index($t->read_file('s3.log'), $line) >= 0 });
pass('the variables in the log');

$t->done();
