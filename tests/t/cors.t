#!/usr/bin/perl

# CORS: configuration, preflights without and with a presigned URL, headers on
# answers and on refusals.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

my $RULES = '<CORSConfiguration>'
    . '<CORSRule><AllowedOrigin>http://*.example.com</AllowedOrigin>'
    . '<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>'
    . '<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>'
    . '<MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>'
    . '<CORSRule><AllowedOrigin>*</AllowedOrigin>'
    . '<AllowedMethod>HEAD</AllowedMethod></CORSRule></CORSConfiguration>';
my $VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method';

sub put_cors {
    my ($body) = @_;
    return $t->put('/bucket?cors', body => $body,
        headers => [ [ 'Content-MD5' => md5_base64($body) . '==' ] ]);
}

sub preflight {
    my ($target, $origin, $method, $headers) = @_;
    return $t->request('OPTIONS', $target, sign => 0, headers => [
        defined $origin ? [ Origin => $origin ] : (),
        $method ? [ 'Access-Control-Request-Method' => $method ] : (),
        $headers ? [ 'Access-Control-Request-Headers' => $headers ] : () ]);
}

is($t->put('/bucket')->{status}, 200, 'a bucket');
is($t->put('/bucket/k', body => 'x')->{status}, 200, 'an object');
$r = $t->get('/bucket?cors');
is("$r->{status} $r->{code}", '404 NoSuchCORSConfiguration', 'no rules');
$r = preflight('/bucket/k');
is("$r->{status} $r->{code}", '400 BadRequest', 'preflight without an origin');
is($r->{message}, 'Insufficient information. Origin request header needed.', 'why');
$r = preflight('/bucket/k', 'http://a.example.com', 'GET');
is("$r->{status} $r->{code}", '403 AccessForbidden', 'CORS is not enabled');
is($r->{message}, 'CORSResponse: CORS is not enabled for this bucket.', 'why');
$r = preflight('/nosuch/k', 'http://a.example.com', 'GET');
is($r->{message}, 'CORSResponse: Bucket not found', 'no such bucket');

$r = $t->put('/bucket?cors', body => $RULES);
is("$r->{status} $r->{code}", '400 InvalidRequest', 'rules without Content-MD5');
$r = put_cors('<CORSConfiguration/>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'no rules');
is(put_cors($RULES)->{status}, 200, 'rules');
is(put_cors($RULES)->{status}, 200, 'again');
$r = $t->get('/bucket?cors');
is($r->{status}, 200, 'read back');
is(() = $r->{body} =~ /<CORSRule>/g, 2, 'both');

$r = preflight('/bucket/k', 'http://a.example.com', 'PUT', 'Content-Type,x-amz-date');
is($r->{status}, 200, 'a preflight');
is($r->{body}, '', 'has no body');
is($r->{headers}{'content-length'}, 0, 'says so');
my %wanted = (
    'access-control-allow-origin' => 'http://a.example.com',
    'access-control-allow-methods' => 'GET, PUT',
    'access-control-allow-headers' => 'content-type, x-amz-date',
    'access-control-expose-headers' => 'ETag',
    'access-control-max-age' => '3000',
    'access-control-allow-credentials' => 'true',
    'vary' => $VARY,
);
is($r->{headers}{$_}, $wanted{$_}, $_) for sort keys %wanted;

$r = preflight('/bucket/k', 'http://other', 'HEAD');
is($r->{headers}{'access-control-allow-origin'}, '*', 'anybody');
ok(!exists $r->{headers}{'access-control-allow-credentials'}, 'no credentials');
$r = preflight('/bucket/k', 'http://other', 'GET');
is("$r->{status} $r->{code}", '403 AccessForbidden', 'not allowed');
like($r->{body}, qr{<Method>GET</Method><ResourceType>OBJECT</ResourceType>}, 'what');
$r = preflight($t->presign('PUT', '/bucket/new'), 'http://a.example.com', 'PUT');
is($r->{status}, 200, 'of a presigned URL, whose signature is not the preflight\'s');

my @origin = (headers => [ [ Origin => 'http://a.example.com' ] ]);
$r = $t->get('/bucket/k', @origin);
is($r->{status}, 200, 'the request itself');
is($r->{headers}{'access-control-allow-origin'}, 'http://a.example.com', 'allowed');
is($r->{headers}{vary}, $VARY, 'Vary');
is($r->{body}, 'x', 'its body');
$r = $t->get('/bucket/nosuch', @origin);
is($r->{status}, 404, 'a refusal');
is($r->{headers}{'access-control-allow-origin'}, 'http://a.example.com', 'can be read');
$r = $t->get('/bucket/k', sign => 0, @origin);
is($r->{status}, 403, 'anonymous');
is($r->{headers}{'access-control-allow-origin'}, 'http://a.example.com', 'can be read');
for ([ 'a wrong signature', 'GET', '/bucket/k', 403, secret_key => 'wrong' ],
        [ 'an unknown key', 'GET', '/bucket/k', 403, access_key => 'AKNONE' ],
        [ 'a wrong query', 'GET', '/bucket/k?uploads', 400 ],
        [ 'a key too long', 'PUT', '/bucket/' . 'k' x 1025, 400, body => 'x' ],
        [ 'HEAD', 'HEAD', '/bucket/k', 403, secret_key => 'wrong' ]) {
    my ($what, $method, $target, $status, @options) = @$_;
    $r = $t->request($method, $target, @options, @origin);
    is($r->{status}, $status, "$what is refused by the worker");
    is($r->{headers}{'access-control-allow-origin'},
        $method eq 'HEAD' ? '*' : 'http://a.example.com', 'can be read');
    is($r->{headers}{'content-type'}, $method eq 'HEAD' ? undef : 'application/xml',
        'as a document');
    like($r->{body}, qr{<RequestId>$r->{headers}{'x-amz-request-id'}</RequestId>},
        'of this request') if $method ne 'HEAD';
}
$r = $t->get('/nosuch/k', secret_key => 'wrong', @origin);
is("$r->{status} $r->{code}", '403 SignatureDoesNotMatch', 'no bucket');

$r = $t->get('/bucket/k', headers => [ [ Origin => 'http://other' ] ]);
is($r->{status}, 200, 'another origin is served');
ok(!exists $r->{headers}{'access-control-allow-origin'}, 'but not allowed');
$r = $t->get('/bucket/k');
ok(!exists $r->{headers}{'access-control-allow-origin'}, 'no origin');

is($t->delete('/bucket?cors')->{status}, 204, 'rules removed');
is($t->delete('/bucket?cors')->{status}, 204, 'again');
is(preflight('/bucket/k', 'http://a.example.com', 'GET')->{status}, 403, 'no CORS');

$t->stop('s3d');
$r = $t->get('/bucket/k', secret_key => 'wrong', @origin);
is("$r->{status} $r->{code}", '403 SignatureDoesNotMatch',
    'the worker refuses alone when s3d is not there');
$t->start_s3d();

$t->done();
