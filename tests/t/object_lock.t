#!/usr/bin/perl

# Object Lock: configuration, retention, legal holds, bypass.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(strftime);
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $soon = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time() + 3600));
my $later = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time() + 7200));
my $bypass = [ 'x-amz-bypass-governance-retention' => 'true' ];
my $r;

sub answer { return "$r->{status} " . ($r->{code} // '') }

# With a Content-MD5, as S3 wants it here.
sub send_to {
    my ($target, $body, @headers) = @_;
    $r = $t->put($target, body => $body,
        headers => [ [ 'Content-MD5' => md5_base64($body) . '==' ], @headers ]);
    return $r->{status};
}

sub locked_put {
    my ($key, @headers) = @_;
    is(send_to("/bkt/$key", 'body', @headers), 200, "put $key");
    return $r->{headers}{'x-amz-version-id'};
}

sub retain {
    my ($target, $mode, $until, @headers) = @_;
    return send_to("/bkt/$target", "<Retention><Mode>$mode</Mode>"
        . "<RetainUntilDate>$until</RetainUntilDate></Retention>", @headers);
}

sub configuration {
    my ($rule) = @_;
    return '<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        . "<ObjectLockEnabled>Enabled</ObjectLockEnabled>$rule</ObjectLockConfiguration>";
}

sub rule {
    return configuration("<Rule><DefaultRetention>$_[0]</DefaultRetention></Rule>");
}

# Buckets.
is($t->put('/bkt', headers => [ [ 'x-amz-bucket-object-lock-enabled' => 'true' ] ])
    ->{status}, 200, 'a bucket with Object Lock');
like($t->get('/bkt?versioning')->{body}, qr{<Status>Enabled<}, 'has versions');
like($t->get('/bkt?object-lock')->{body}, qr{<ObjectLockEnabled>Enabled<}, 'and says so');
$r = $t->put('/bkt?versioning', body => '<VersioningConfiguration>'
    . '<Status>Suspended</Status></VersioningConfiguration>');
is(answer(), '409 InvalidBucketState', 'for ever');
$t->put('/plain');
$r = $t->get('/plain?object-lock');
is(answer(), '404 ObjectLockConfigurationNotFoundError', 'another has none');
send_to('/plain?object-lock', configuration(''));
is(answer(), '409 InvalidBucketState', 'nor gets one without versions');
send_to('/plain/k', 'x', [ 'x-amz-object-lock-legal-hold' => 'ON' ]);
is(answer(), '400 InvalidRequest', 'nor objects with locks');
like($r->{body}, qr/Bucket is missing Object Lock Configuration/, 'and why');
$t->put('/plain?versioning', body => '<VersioningConfiguration>'
    . '<Status>Enabled</Status></VersioningConfiguration>');
is(send_to('/plain?object-lock', configuration('')), 200, 'but with versions');

# Retention by headers.
my $id = locked_put('k', [ 'x-amz-object-lock-mode' => 'GOVERNANCE' ],
    [ 'x-amz-object-lock-retain-until-date' => $later ]);
$r = $t->head('/bkt/k');
is($r->{headers}{'x-amz-object-lock-mode'}, 'GOVERNANCE', 'mode');
(my $shown = $later) =~ s/Z$/.000Z/;
is($r->{headers}{'x-amz-object-lock-retain-until-date'}, $shown, 'date');
$r = $t->delete("/bkt/k?versionId=$id");
is(answer(), '403 AccessDenied', 'protected');
is($t->get("/bkt/k?versionId=$id")->{body}, 'body', 'still there');
$r = $t->delete('/bkt/k');
is("$r->{status} $r->{headers}{'x-amz-delete-marker'}", '204 true', 'a marker is no delete');
$r = $t->put('/bkt/other', body => 'x', headers => [
    [ 'x-amz-object-lock-mode' => 'GOVERNANCE' ],
    [ 'x-amz-object-lock-retain-until-date' => $later ] ]);
is(answer(), '400 InvalidRequest', 'needs a digest');

# Changes.
retain("k?retention&versionId=$id", 'GOVERNANCE', $soon);
is(answer(), '403 AccessDenied', 'not shortened');
is(retain("k?retention&versionId=$id", 'GOVERNANCE', $soon, $bypass), 200, 'but with bypass');
like($t->get("/bkt/k?retention&versionId=$id")->{body}, qr{<Mode>GOVERNANCE<}, 'read back');
is(retain("k?retention&versionId=$id", 'COMPLIANCE', $soon, $bypass), 200, 'COMPLIANCE');
retain("k?retention&versionId=$id", 'GOVERNANCE', $later, $bypass);
is(answer(), '403 AccessDenied', 'is kept');
is(retain("k?retention&versionId=$id", 'COMPLIANCE', $later), 200, 'and lengthened');
$r = $t->delete("/bkt/k?versionId=$id", headers => [ $bypass ]);
is(answer(), '403 AccessDenied', 'nobody deletes it');

# Bypass of GOVERNANCE, one by one and by many.
$id = locked_put('g', [ 'x-amz-object-lock-mode' => 'GOVERNANCE' ],
    [ 'x-amz-object-lock-retain-until-date' => $later ]);
my $delete = "<Delete><Object><Key>g</Key><VersionId>$id</VersionId></Object></Delete>";
my $md5 = [ 'Content-MD5' => md5_base64($delete) . '==' ];
$r = $t->post('/bkt?delete', body => $delete, headers => [ $md5 ]);
like($r->{body}, qr{<Error>.*<Code>AccessDenied</Code>}s, 'refused in DeleteObjects');
$r = $t->post('/bkt?delete', body => $delete, headers => [ $md5, $bypass ]);
like($r->{body}, qr{<Deleted><Key>g</Key><VersionId>\Q$id\E</VersionId></Deleted>},
    'done with bypass');

# Legal holds.
$id = locked_put('h');
$r = $t->get('/bkt/h?legal-hold');
is(answer(), '404 NoSuchObjectLockConfiguration', 'no hold');
is(send_to('/bkt/h?legal-hold', '<LegalHold><Status>ON</Status></LegalHold>'), 200, 'hold');
is($t->head('/bkt/h')->{headers}{'x-amz-object-lock-legal-hold'}, 'ON', 'shown');
$r = $t->delete("/bkt/h?versionId=$id", headers => [ $bypass ]);
is(answer(), '403 AccessDenied', 'held');
send_to('/bkt/h?legal-hold', '<LegalHold><Status>MAYBE</Status></LegalHold>');
is(answer(), '400 MalformedXML', 'a status that is none');
is(send_to('/bkt/h?legal-hold', '<LegalHold><Status>OFF</Status></LegalHold>'), 200, 'let go');
is($t->delete("/bkt/h?versionId=$id")->{status}, 204, 'and deleted');

# The default.
send_to('/bkt?object-lock', rule('<Mode>GOVERNANCE</Mode><Days>0</Days>'));
is(answer(), '400 InvalidArgument', 'no days');
send_to('/bkt?object-lock', rule('<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>'));
is(answer(), '400 MalformedXML', 'days and years');
is(send_to('/bkt?object-lock', rule('<Mode>GOVERNANCE</Mode><Days>1</Days>')), 200, 'a day');
like($t->get('/bkt?object-lock')->{body}, qr{<Mode>GOVERNANCE</Mode><Days>1</Days>}, 'read back');
$id = locked_put('d');
is($t->head('/bkt/d')->{headers}{'x-amz-object-lock-mode'}, 'GOVERNANCE', 'applied');
$t->stop('s3d');
$t->start_s3d();
$r = $t->delete("/bkt/d?versionId=$id");
is(answer(), '403 AccessDenied', 'also after a restart');
is($t->delete("/bkt/d?versionId=$id", headers => [ $bypass ])->{status}, 204, 'and bypassed');

$t->done();
