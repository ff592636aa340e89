#!/usr/bin/perl

# Quotas of buckets and accounts, limits of requests, and usage that is exact.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $ctl = $t->build() . '/s3ctl -s ' . $t->dir() . '/admin.sock';
my ($r, $socket);

sub said { my ($r) = @_; return "$r->{status} " . ($r->{code} // '') }
sub put  { return said($t->put($_[0], body => $_[1])) }

sub usage {
    my ($bucket) = @{ $t->ctl('usage', $_[0])->{buckets} };
    return "$bucket->{bytes} in $bucket->{objects}";
}

sub account {
    my ($name) = @_;
    my ($account) = grep { $_->{name} eq $name }
        @{ $t->ctl('usage')->{accounts} };
    return "$account->{bytes} in $account->{objects}";
}

sub verified {
    my ($what) = @_;
    my $found = $t->ctl('usage', 'verify');
    is_deeply($found->{differences}, [], "$what: usage is right");
}

is($t->put("/$_")->{status}, 200, "bucket $_") for qw(bkt ver);
$t->put('/ver?versioning', body => '<VersioningConfiguration><Status>Enabled'
    . '</Status></VersioningConfiguration>');

# --- a bucket's quota ----------------------------------------------------------

ok($t->ctl(qw(quota set bkt --bytes 2K --objects 3)), 'a quota');
is(put('/bkt/a', 'x' x 2000), '200 ', 'there is room');
is(put('/bkt/b', 'x' x 49), '403 QuotaExceeded', 'there is not');
is(put('/bkt/b', 'x' x 48), '200 ', 'for so much there is');
is(put('/bkt/a', 'x' x 2001), '403 QuotaExceeded', 'nor for more of it');
is(put('/bkt/a', 'x' x 1000), '200 ', 'for less');
is(usage('bkt'), '1048 in 2', 'usage');

$socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/large', body => 'x' x 5000,
    headers => [ [ Expect => '100-continue' ] ]));
is(said($t->read_response($socket)), '403 QuotaExceeded',
    'the body is not asked for');

$socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/large', no_length => 1,
    sha256 => 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', headers => [
        [ 'Content-Encoding' => 'aws-chunked' ], [ 'Content-Length' => 5500 ],
        [ 'x-amz-decoded-content-length' => 5000 ],
        [ Expect => '100-continue' ] ]));
is(said($t->read_response($socket)), '403 QuotaExceeded', 'nor a signed stream');

is(put('/bkt/c', ''), '200 ', 'the third object');
is(put('/bkt/d', ''), '403 QuotaExceeded', 'not the fourth');
is($t->delete('/bkt/c')->{status}, 204, 'one goes');
is(put('/bkt/d', ''), '200 ', 'another comes');
is(said($t->put('/bkt/d', headers => [ [ 'x-amz-copy-source', '/bkt/a' ] ])),
    '200 ', 'a copy that fits');
is(said($t->put('/bkt/b', headers => [ [ 'x-amz-copy-source', '/bkt/a' ] ])),
    '403 QuotaExceeded', 'and one that does not');

my $metrics = $t->ctl('status')->{metrics};
my $value = sub {
    my ($name, $label, $of) = @_;
    return (map { $_->{value} } grep { ($_->{labels}{$label} // '') eq $of }
        @{ $metrics->{$name} })[0];
};
is($value->('s3d_bucket_used_bytes', 'bucket', 'bkt'), 2048, 'metrics of usage');
is($value->('s3d_bucket_quota_objects', 'bucket', 'bkt'), 3, 'of quotas');
is($value->('s3d_bucket_quota_used_ratio', 'bucket', 'bkt'), 1, 'of their shares');
is($value->('s3d_bucket_used_objects', 'bucket', 'ver'), 0, 'of who has none');
is($value->('s3d_bucket_quota_bytes', 'bucket', 'ver'), undef, 'as well');
is($metrics->{s3d_buckets}[0]{value}, 2, 'buckets');
is($metrics->{s3d_used_bytes}[0]{value}, 2048, 'of all buckets');
is($value->('s3d_refused_by_limits_total', 'limit', 'room'), 6, 'refusals');
my ($shown) = @{ $t->ctl(qw(quota show))->{buckets} };
is_deeply($shown->{quota}, { bytes => 2048, objects => 3 }, 'limits are told');
is(scalar @{ $t->ctl(qw(quota show))->{buckets} }, 1, 'of who has some');
like(`$ctl usage`, qr/^bkt +root +2048 of 2048, 100 % +3 of 3, 100 %/m,
    'a table');
ok($t->ctl(qw(quota set bkt --objects 0)), 'one limit goes');
is(scalar @{ $t->ctl(qw(usage --prefix b))->{buckets} }, 1, 'of some buckets');
is_deeply($t->ctl(qw(quota show bkt))->{buckets}[0]{quota},
    { bytes => 2048 }, 'the other stays');
ok($t->ctl(qw(quota remove bkt)), 'no limits');
is(put('/bkt/b', 'x' x 4000), '200 ', 'nothing is refused');
is($t->ctl(qw(quota set nosuch --bytes 1)), undef, 'no such bucket');
is($t->ctl(qw(quota set bkt --bytes 1X)), undef, 'no number');
is($t->ctl(qw(quota set bkt)), undef, 'no limit');
is($t->ctl(qw(quota set bkt --account root --bytes 1)), undef, 'of whom?');

# --- versions, markers, parts --------------------------------------------------

is(put('/ver/k', 'x' x 10), '200 ', 'a version') for 1 .. 2;
is($t->delete('/ver/k')->{status}, 204, 'a delete marker');
$r = $t->post('/ver/up?uploads');
my ($id) = $r->{body} =~ m{<UploadId>(.*?)</UploadId>};
my $part = "/ver/up?partNumber=1&uploadId=$id";
is(put($part, 'x' x 30), '200 ', 'a part');
is(put($part, 'x' x 25), '200 ', 'again');
is(usage('ver'), '45 in 4', 'all of it counts');
verified('before a restart');

# --- an account's quota --------------------------------------------------------

is(account('root'), (2000 + 4000 + 45) . ' in 7', 'all buckets of the account');
ok($t->ctl(qw(quota set --account root --bytes 6050)), 'a quota of the account');
is(put('/bkt/new', 'x' x 6), '403 QuotaExceeded', 'holds in one bucket');
is(put('/ver/new', 'x' x 6), '403 QuotaExceeded', 'and in the other');
is(put($part, 'x' x 31), '403 QuotaExceeded', 'for parts');
is(put($part, 'x' x 30), '200 ', 'which replace one another');
$t->stop('s3d');
$t->start_s3d();
is(usage('ver'), '50 in 4', 'usage after a restart');
is(put('/bkt/new', 'x'), '403 QuotaExceeded', 'and the quota');
is($t->delete("/ver/up?uploadId=$id")->{status}, 204, 'the upload goes');
is(put('/bkt/new', 'x' x 30), '200 ', 'and gives room');
ok($t->ctl(qw(quota remove --account root)), 'no quota');
verified('after a restart');

# --- requests ------------------------------------------------------------------

# Until two come within a second; the hot index does not answer either.
sub slowed {
    my ($target) = @_;
    for (1 .. 1000) {
        my $r = $t->get($target);
        return $r if $r->{status} != 200;
    }
    return { status => 0 };
}

is($t->get('/bkt/new')->{status}, 200, 'hot') for 1 .. 5;
ok($t->ctl(qw(quota set bkt --requests 1)), 'requests to a bucket');
$r = slowed('/bkt/new');
is(said($r), '503 SlowDown', 'are limited');
like($r->{headers}{'retry-after'}, qr/^[12]$/, 'when to come again');
ok($t->ctl(qw(quota remove bkt)), 'no limit');
is($t->get('/bkt/new')->{status}, 200, 'hot again') for 1 .. 5;
ok($t->ctl(qw(quota set --account root --requests 1)), 'requests of an account');
is(said(slowed('/bkt/new')), '503 SlowDown', 'are limited');
is($t->get('/bkt/new', sign => 0)->{status}, 403, 'of nobody else');
ok($t->ctl(qw(quota remove --account root)), 'no limit');
is($t->get('/bkt/new')->{status}, 200, 'as before');

$t->done();
