#!/usr/bin/perl

# Versions: enabled and suspended, markers, reads, copies and deletes by id,
# lists of versions, a restart in between.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

$t->put('/bkt');

sub answer { return "$r->{status} " . ($r->{code} // '') }

sub versioning {
    my ($status, @o) = @_;
    $r = $t->put('/bkt?versioning', body => '<VersioningConfiguration '
        . 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        . "<Status>$status</Status></VersioningConfiguration>", @o);
    return $r->{status};
}

sub put {
    my ($key, $body, @headers) = @_;
    $r = $t->put("/bkt/$key", body => $body, headers => \@headers);
    is($r->{status}, 200, "put $key: $body");
    return $r->{headers}{'x-amz-version-id'};
}

sub body_of {
    my ($target) = @_;
    $r = $t->get("/bkt/$target");
    return $r->{status} == 200 ? $r->{body} : answer();
}

sub id { return $r->{headers}{'x-amz-version-id'} // 'none' }
sub marker { return $r->{headers}{'x-amz-delete-marker'} // 'none' }

# The configuration.
unlike($t->get('/bkt?versioning')->{body}, qr/Status/, 'never set');
versioning('Sometimes');
is(answer(), '400 MalformedXML', 'a status that is none');
$r = $t->put('/bkt?versioning', body => '<VersioningConfiguration><Status>Enabled'
    . '</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>');
is(answer(), '403 AccessDenied', 'no device, no MFA delete');
is(put('k', 'before'), undef, 'unversioned: no id');
is(versioning('Enabled'), 200, 'enable');
like($t->get('/bkt?versioning')->{body}, qr{<Status>Enabled</Status>}, 'enabled');

# Versions.
my $one = put('k', 'one');
my $two = put('k', 'two');
like($one, qr/^[0-9a-zA-Z._-]{32}$/, 'an id for URLs');
isnt($one, $two, 'another version');
is(body_of('k'), 'two', 'the newest');
is(id(), $two, 'says which');
is(body_of("k?versionId=$one"), 'one', 'an older one');
is(id(), $one, 'says which');
is(body_of('k?versionId=null'), 'before', 'the one from before');
is(id(), 'null', 'is null');
$r = $t->head("/bkt/k?versionId=$one");
is("$r->{status} $r->{headers}{etag}", '200 "' . md5_hex('one') . '"', 'HEAD');
$r = $t->get("/bkt/k?versionId=$one", headers => [ [ Range => 'bytes=1-' ] ]);
is("$r->{status} $r->{body}", '206 ne', 'a range of it');
is(body_of('k?versionId=bogus'), '400 InvalidArgument', 'malformed id');
like($r->{body}, qr/Invalid version id specified/, 'and why');
is(body_of('k?versionId=' . '0' x 32), '404 NoSuchVersion', 'unknown id');

# Markers.
$r = $t->delete('/bkt/k');
my $gone = id();
is("$r->{status} " . marker(), '204 true', 'a marker is made');
is(body_of('k'), '404 NoSuchKey', 'the key is gone');
is(marker() . ' ' . id(), "true $gone", 'by which marker');
$r = $t->head('/bkt/k');
is("$r->{status} " . marker(), '404 true', 'HEAD says so too');
is(body_of("k?versionId=$gone"), '405 MethodNotAllowed', 'markers have no body');
is($r->{headers}{allow}, 'DELETE', 'but can be deleted');
ok($r->{headers}{'last-modified'}, 'and have a date');
is(body_of("k?versionId=$two"), 'two', 'versions stay');
unlike($t->get('/bkt?list-type=2')->{body}, qr/<Key>/, 'not listed');

# Copies.
$r = $t->put('/bkt/copy', headers => [ [ 'x-amz-copy-source' => "/bkt/k?versionId=$one" ] ]);
is($r->{status}, 200, 'copy of a version');
is($r->{headers}{'x-amz-copy-source-version-id'}, $one, 'of which');
is(body_of('copy'), 'one', 'its bytes');
$r = $t->put('/bkt/x', headers => [ [ 'x-amz-copy-source' => "/bkt/k?versionId=$gone" ] ]);
is(answer(), '400 InvalidRequest', 'not of a marker');
$r = $t->put('/bkt/k', headers => [ [ 'x-amz-copy-source' => "/bkt/k?versionId=$one" ] ]);
is($r->{status}, 200, 'an old version back on top');
is(body_of('k'), 'one', 'restored');

# A list of versions, whole and by pages.
sub entries {
    my ($query) = @_;
    $r = $t->get("/bkt?versions&$query");
    return map {
        join ' ', m{<Key>(.*?)</Key>}, m{<VersionId>(.*?)</VersionId>},
            m{<IsLatest>(.*?)</IsLatest>}
    } $r->{body} =~ m{<(?:Version|DeleteMarker)>(.*?)</(?:Version|DeleteMarker)>}gs;
}

my @all = entries('prefix=k');
is(scalar @all, 5, 'five versions');
is($all[1], "k $gone false", 'the marker among them');
is("@all[2..4]", "k $two false k $one false k null false", 'newest first');
like($all[0], qr/true$/, 'one is the latest');
my (@pages, $more);
my $query = 'prefix=k&max-keys=2';
do {
    push @pages, entries($query);
    ($more) = $r->{body} =~ m{<IsTruncated>(.*?)<};
    my ($key) = $r->{body} =~ m{<NextKeyMarker>(.*?)<};
    my ($version) = $r->{body} =~ m{<NextVersionIdMarker>(.*?)<};
    $query = "prefix=k&max-keys=2&key-marker=$key&version-id-marker=$version"
        if $more eq 'true';
} while ($more eq 'true' && @pages < 20);
is_deeply(\@pages, \@all, 'the same by pages');
$r = $t->get("/bkt?versions&version-id-marker=$one");
is(answer(), '400 InvalidArgument', 'no version marker without a key');

# What is there survives a restart.
$t->stop('s3d');
$t->start_s3d();
is_deeply([ entries('prefix=k') ], \@all, 'after a restart');
is(body_of("k?versionId=$two"), 'two', 'bytes, too');

# Deletes by id.
$r = $t->delete("/bkt/k?versionId=$gone");
is("$r->{status} " . marker() . ' ' . id(), "204 true $gone", 'a marker');
$r = $t->delete("/bkt/k?versionId=$two");
is("$r->{status} " . marker() . ' ' . id(), "204 none $two", 'a version');
is(body_of("k?versionId=$two"), '404 NoSuchVersion', 'is gone');
is($t->delete("/bkt/k?versionId=$two")->{status}, 204, 'again: nothing to do');
$r = $t->delete('/bkt/k?versionId=bogus');
is(answer(), '400 InvalidArgument', 'a malformed id');

# Suspended.
is(versioning('Suspended'), 200, 'suspend');
is(put('k', 'after'), undef, 'no id');
is(body_of('k?versionId=null'), 'after', 'in the place of the null version');
is(body_of("k?versionId=$one"), 'one', 'the others stay');
$r = $t->delete('/bkt/k');
is(marker() . ' ' . id(), 'true null', 'a null marker');
is(body_of('k?versionId=null'), '405 MethodNotAllowed', 'in its place');

# Conditions see through a marker.
$r = $t->put('/bkt/k', body => 'x', headers => [ [ 'If-Match' => '*' ] ]);
is(answer(), '404 NoSuchKey', 'If-Match: nothing is there');
is($t->put('/bkt/k', body => 'x', headers => [ [ 'If-None-Match' => '*' ] ])->{status},
    200, 'If-None-Match: indeed');

# Nothing but an empty bucket can be deleted.
$r = $t->delete('/bkt');
is(answer(), '409 BucketNotEmpty', 'versions are left');
my $doomed = join '', map {
    my ($key, $id) = split / /;
    "<Object><Key>$key</Key><VersionId>$id</VersionId></Object>"
} entries('');
my $delete = "<Delete>$doomed</Delete>";
$r = $t->post('/bkt?delete', body => $delete,
    headers => [ [ 'Content-MD5' => md5_base64($delete) . '==' ] ]);
is($r->{status}, 200, 'delete them all');
unlike($r->{body}, qr/<Error>/, 'without an error');
is($t->delete('/bkt')->{status}, 204, 'and the bucket');

$t->done();
