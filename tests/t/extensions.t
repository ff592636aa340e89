#!/usr/bin/perl

# Appends and RenameObject: refused unless s3d.conf says `extensions = true`.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

sub rename_to {
    my ($s3, $key, $source, @headers) = @_;
    my $r = $s3->put("/bkt/$key?renameObject",
        headers => [ [ 'x-amz-rename-source' => $source ], @headers ]);
    return join ' ', grep { defined } $r->{status}, $r->{code};
}

sub append {
    my ($s3, $key, $offset, $body, @headers) = @_;
    return $s3->put("/bkt/$key", body => $body,
        headers => [ [ 'x-amz-write-offset-bytes' => $offset ], @headers ]);
}

# --- off --------------------------------------------------------------------------

my $t = Test::S3->new()->run();
$t->put('/bkt');
$t->put('/bkt/k', body => 'one');
my $r = append($t, 'k', 3, 'two');
is("$r->{status} $r->{code}", '501 NotImplemented', 'no appends');
is(rename_to($t, 'new', 'k'), '501 NotImplemented', 'no renames');
is($t->get('/bkt/k')->{body}, 'one', 'nothing happened');

# --- on ---------------------------------------------------------------------------

my $on = Test::S3->new(s3d => 'extensions = true;')->run();
$on->put('/bkt');
$on->put('/bkt/k', body => 'one', headers => [ [ 'x-amz-meta-a' => 'b' ] ]);

$r = append($on, 'k', 3, 'two');
is($r->{status}, 200, 'appended');
is($r->{headers}{'x-amz-object-size'}, 6, 'the new size');
my $etag = $r->{headers}{etag};
like($etag, qr/^"[0-9a-f]{32}-2"$/, 'ETag of two parts');
is($on->head('/bkt/k')->{headers}{etag}, $etag, 'the same on HEAD');
my $big = 'x' x (3 << 20);
is(append($on, 'k', 6, $big)->{status}, 200, 'appended much');
$r = $on->get('/bkt/k');
is(md5_hex($r->{body}), md5_hex("onetwo$big"), 'all bytes in order');
is($r->{headers}{'x-amz-meta-a'}, 'b', 'metadata stays');
$r = append($on, 'k', 6, 'x');
is("$r->{status} $r->{code}", '400 InvalidWriteOffset', 'offset is not the size');
$r = append($on, 'nosuch', 1, 'x');
is("$r->{status} $r->{code}", '400 InvalidWriteOffset', 'nothing has no bytes');
is(append($on, 'first', 0, 'hello')->{status}, 200, 'append to nothing');
is($on->get('/bkt/first')->{body}, 'hello', 'makes it');
$r = append($on, 'first', 5, '!', [ 'If-Match' => '"0"' ]);
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'conditional append');
$r = $on->post('/bkt/k?uploads', headers => [ [ 'x-amz-write-offset-bytes' => 0 ] ]);
is("$r->{status} $r->{code}", '501 NotImplemented', 'no append of uploads');

my $before = $on->head('/bkt/first')->{headers};
is(rename_to($on, 'dir/second', 'first'), 200, 'renamed');
is($on->get('/bkt/first')->{code}, 'NoSuchKey', 'gone from there');
is($on->get('/bkt/dir/second')->{body}, 'hello', 'there it is');
my $after = $on->head('/bkt/dir/second')->{headers};
is($after->{$_}, $before->{$_}, "$_ stays") for qw(etag last-modified content-type);
is(rename_to($on, 'first', '/bkt/dir%2Fsecond'), 200, 'back, by bucket and key');
is(rename_to($on, 'x', 'nosuch'), '404 NoSuchKey', 'nothing to rename');
is(rename_to($on, 'first', 'first'), '400 InvalidRequest', 'onto itself');
is(rename_to($on, 'x', '/other/first'), '400 InvalidArgument', 'another bucket');
is(rename_to($on, 'k', 'first', [ 'If-None-Match' => '*' ]),
    '412 PreconditionFailed', 'not over an object');
is(rename_to($on, 'x', 'first', [ 'x-amz-rename-source-if-match' => '"0"' ]),
    '412 PreconditionFailed', 'another source');
my @token = ([ 'x-amz-client-token' => 'token-1' ]);
is(rename_to($on, 'k', 'first', @token), 200, 'over an object');
is(rename_to($on, 'k', 'first', @token), 200, 'and again: the same request');
is(rename_to($on, 'k', 'other', @token), '400 IdempotencyParameterMismatch',
    'the token is of another request');
is($on->get('/bkt/k')->{body}, 'hello', 'replaced');
$r = $on->get('/bkt');
is(join(' ', $r->{body} =~ m{<Key>(.*?)</Key>}g), 'k', 'one key is left');
is($on->request('GET', '/bkt/k?renameObject')->{code}, 'MethodNotAllowed',
    'only PUT renames');

# --- versions and a restart -------------------------------------------------------

$on->put('/versions');
$on->put('/versions?versioning', body =>
    '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
$on->put('/versions/k', body => 'one');
my $old = $on->head('/versions/k')->{headers}{'x-amz-version-id'};
$r = $on->put('/versions/k', body => 'two',
    headers => [ [ 'x-amz-write-offset-bytes' => 3 ] ]);
is($r->{status}, 200, 'a version more');
isnt($r->{headers}{'x-amz-version-id'}, $old, 'of its own');
is($on->get("/versions/k?versionId=$old")->{body}, 'one', 'the old one is whole');
$r = $on->put('/versions/x?renameObject', headers => [ [ 'x-amz-rename-source' => 'k' ] ]);
is("$r->{status} $r->{code}", '501 NotImplemented', 'versions are not renamed');

$on->stop('s3d');
$on->start_s3d();
is($on->get('/versions/k')->{body}, 'onetwo', 'whole after a restart');

is($t->stop($_), 0, "$_ stopped cleanly") for qw(nginx s3d);
$on->done();
