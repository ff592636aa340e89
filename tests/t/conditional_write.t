#!/usr/bin/perl

# If-None-Match and If-Match on writes and deletes.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

$t->put('/bkt');

sub put_if {
    my ($key, $header, $value, $body) = @_;
    return $t->put("/bkt/$key", body => $body, headers => [ [ $header => $value ] ]);
}

is(put_if('k', 'If-None-Match', '*', 'one')->{status}, 200, 'created');
$r = put_if('k', 'If-None-Match', '*', 'two');
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'not twice');
like($r->{body}, qr{<Condition>If-None-Match</Condition>}, 'condition named');
is($t->get('/bkt/k')->{body}, 'one', 'unchanged');

my $etag = '"' . md5_hex('one') . '"';
is(put_if('k', 'If-Match', $etag, 'three')->{status}, 200, 'If-Match fits');
$r = put_if('k', 'If-Match', $etag, 'four');
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'If-Match differs');
is($t->get('/bkt/k')->{body}, 'three', 'unchanged');
$r = put_if('absent', 'If-Match', $etag, 'x');
is("$r->{status} $r->{code}", '404 NoSuchKey', 'If-Match of nothing');
$r = put_if('k', 'If-None-Match', '"x"', 'x');
is("$r->{status} $r->{code}", '501 NotImplemented', 'only * for If-None-Match');

$r = $t->delete('/bkt/k', headers => [ [ 'If-Match' => '"x"' ] ]);
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'conditional delete');
is($t->get('/bkt/k')->{status}, 200, 'still there');
is($t->delete('/bkt/k', headers => [ [ 'If-Match' => '"' . md5_hex('three') . '"' ] ])
    ->{status}, 204, 'and done');

$t->done();
