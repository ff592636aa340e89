#!/usr/bin/perl

# Virtual-hosted style with several base domains, beside path style.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(location => 's3_domain s3.example.com objects.test;')->run();
my $r;

is($t->put('/', host => 'vhost.s3.example.com')->{status}, 200, 'create by host');
is($t->put('/k', host => 'vhost.s3.example.com', body => '1')->{status}, 200, 'put');
is($t->get('/vhost/k')->{body}, '1', 'the same object by path');
is($t->get('/k', host => 'vhost.objects.test:8080')->{body}, '1',
    'another domain, with a port');
is($t->get('/vhost/k', host => 's3.example.com')->{body}, '1',
    'the bare domain is path style');
is($t->get('/k', host => 'VHOST.S3.Example.Com')->{body}, '1', 'in any case');
$t->put('/', host => 'with.dots.s3.example.com');
like($t->get('/', host => 's3.example.com')->{body}, qr{<Name>with.dots</Name>},
    'a bucket with dots');
$r = $t->get('//k', host => 'vhost.s3.example.com');
is("$r->{status} $r->{code}", '404 NoSuchKey', 'a leading slash belongs to the key');

my $link = $t->presign('GET', '/k', host => 'vhost.s3.example.com');
is($t->get($link, sign => 0, host => 'vhost.s3.example.com')->{body}, '1',
    'pre-signed for the host that the client uses');
$r = $t->get($link, sign => 0, host => 'vhost.objects.test');
is("$r->{status} $r->{code}", '403 SignatureDoesNotMatch', 'not for another');

$t->done();
