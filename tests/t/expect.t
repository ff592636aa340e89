#!/usr/bin/perl

# 100-continue is sent after authentication and admission, never before.

use strict;
use warnings;

use FindBin;
use IO::Select;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my ($socket, $head, $r);
my @expect = ([ Expect => '100-continue' ]);

$t->put('/bkt');

$socket = $t->connect();
$head = $t->compose('PUT', '/bkt/k', body => 'waited', headers => \@expect);
$t->write_all($socket, $head);
$r = $t->read_response($socket);
is($r->{status}, 100, 'the body is asked for');
$t->write_all($socket, 'waited');
$r = $t->read_response($socket);
is($r->{status}, 200, 'stored');
is($t->get('/bkt/k')->{body}, 'waited', 'whole');

# The body comes without waiting.
$socket = $t->connect();
$t->write_all($socket,
    $t->compose('PUT', '/bkt/k', body => 'eager', headers => \@expect) . 'eager');
$r = $t->read_response($socket);
$r = $t->read_response($socket) if $r->{status} == 100;
is($r->{status}, 200, 'an eager client is served');
is($t->get('/bkt/k')->{body}, 'eager', 'whole');

# An empty body is asked for as well: botocore would hang on the next answer.
$socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/empty', headers => \@expect));
is($t->read_response($socket)->{status}, 100, 'an empty body is asked for');
is($t->read_response($socket)->{status}, 200, 'and stored');
is($t->put('/bkt/k', body => 'next', socket => $socket)->{status}, 200,
    'the connection goes on');

for (
    [ '403 SignatureDoesNotMatch', '/bkt/x', secret_key => 'wrong' ],
    [ '403 AccessDenied', '/bkt/x', sign => 0 ],
    [ '404 NoSuchBucket', '/nosuch/x' ],
    [ '400 InvalidDigest', '/bkt/x', extra => [ 'Content-MD5' => 'x' ] ],
    [ '501 NotImplemented', '/bkt?replication' ],
) {
    my ($expected, $target, %o) = @$_;
    my $extra = delete $o{extra};
    $socket = $t->connect();
    $t->write_all($socket, $t->compose('PUT', $target, body => 'x' x 1000,
        headers => [ @expect, $extra ? $extra : () ], %o));
    $r = $t->read_response($socket);
    is("$r->{status} " . ($r->{code} // ''), $expected, "$expected before the body");
    is($r->{headers}{connection}, 'close', 'and the connection ends');
}

$t->done();
