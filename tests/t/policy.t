#!/usr/bin/perl

# Bucket policies: kept, refused, decided on.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $stranger = $t->ctl('account', 'add', 'stranger');
my @as = (access_key => $stranger->{access_key},
    secret_key => $stranger->{secret_key});
my $xml = '<?xml version="1.0" encoding="UTF-8"?>' . "\n";
my $ns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
my $r;

sub answers {
    my ($r, $expected, $what) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $what);
}

sub document {
    return JSON::PP->new->canonical->encode(
        { Version => '2012-10-17', Statement => [@_] });
}

sub statement {
    my ($effect, $action, $resource, %more) = @_;
    return { Effect => $effect, Principal => '*', Action => $action,
        Resource => [ map { "arn:aws:s3:::$_" } ref $resource
            ? @$resource : $resource ], %more };
}

sub allow { return statement('Allow', @_) }
sub deny  { return statement('Deny', @_) }

sub put_policy {
    my ($bucket, $text, @more) = @_;
    return $t->put("/$bucket?policy", body => $text, @more);
}

sub policy_is {
    my $r = put_policy('bkt', document(@_));
    $r->{status} == 204 or die "$r->{status} $r->{body}";
}

# A line of a table: request, answer.
sub table {
    my ($what, @lines) = @_;
    while (my ($request, $expected) = splice @lines, 0, 2) {
        my ($method, $target, @more) = @$request;
        answers($t->request($method, $target, @as, @more), $expected,
            "$what: $method $target");
    }
}

$t->put('/bkt');
$t->put("/bkt/$_", body => 'text') for qw(a b dir/c);
$t->put('/other');

# --- the document ------------------------------------------------------------

answers($t->get('/bkt?policy'), '404 NoSuchBucketPolicy', 'no policy');
is($t->get('/bkt?policy')->{message}, 'The bucket policy does not exist', 'says so');
answers($t->get('/bkt?policyStatus'), '404 NoSuchBucketPolicy', 'no status');
answers($t->delete('/bkt?policy'), '204 ', 'nothing to delete');
answers($t->get('/none?policy'), '404 NoSuchBucket', 'no bucket');

answers(put_policy('bkt', ''), '400 MissingRequestBodyError', 'no body');
for (['no JSON', '{'], ['no statement', '{"Version":"2012-10-17"}'],
    ['another bucket', document(allow('s3:GetObject', 'other/*'))],
    ['no action of S3', document(allow('s3:Whatever', 'bkt/*'))],
    ['an unknown condition', document(allow('s3:GetObject', 'bkt/*',
        Condition => { Maybe => { 'aws:SourceIp' => '1.2.3.4' } }))])
{
    answers(put_policy('bkt', $_->[1]), '400 MalformedPolicy', $_->[0]);
}
answers(put_policy('bkt', ' ' x 20480 . document(allow('s3:GetObject', 'bkt/*'))),
    '400 MalformedPolicy', 'too long');
answers($t->get('/bkt?policy'), '404 NoSuchBucketPolicy', 'none was kept');

my $me = { Principal => { CanonicalUser => $stranger->{id} } };
my $text = document(allow('s3:GetObject', 'bkt/*', %$me, Sid => 'Read'));
answers(put_policy('bkt', $text), '204 ', 'kept');
$r = $t->get('/bkt?policy');
is($r->{status}, 200, 'is there');
is($r->{body}, $text, 'byte for byte');
is($r->{headers}{'content-type'}, 'application/json', 'as JSON');
$r = $t->get('/bkt?policyStatus');
is($r->{body}, "$xml<PolicyStatus $ns><IsPublic>false</IsPublic></PolicyStatus>",
    'for one account: not public');

# --- another account ---------------------------------------------------------

table('may read',
    [ GET => '/bkt/a' ], '200 ',
    [ HEAD => '/bkt/dir/c' ], '200 ',
    [ PUT => '/bkt/a', body => 'x' ], '403 AccessDenied',
    [ DELETE => '/bkt/a' ], '403 AccessDenied',
    [ DELETE => '/bkt/none' ], '403 AccessDenied',
    [ GET => '/bkt' ], '403 AccessDenied',
    [ GET => '/bkt/none' ], '403 AccessDenied',
    [ HEAD => '/bkt/none' ], '403 ',
    [ GET => '/bkt/a?tagging' ], '403 AccessDenied',
    [ GET => '/bkt/a?attributes', headers => [
        [ 'x-amz-object-attributes', 'ETag' ] ] ], '403 AccessDenied',
    [ GET => '/bkt/a?versionId=null' ], '403 AccessDenied',
    [ GET => '/bkt?policy' ], '403 AccessDenied',
    [ PUT => '/bkt?policy', body => $text ], '403 AccessDenied',
    [ GET => '/bkt?location' ], '403 AccessDenied',
    [ HEAD => '/bkt' ], '403 ',
    [ DELETE => '/bkt' ], '403 AccessDenied');
is($t->head('/bkt/none', @as)->{body}, '', 'HEAD has no body');

policy_is(allow([ 's3:GetObject', 's3:GetObjectVersion' ], 'bkt/*', %$me),
    allow('s3:ListBucket', 'bkt', %$me));
table('may list and read',
    [ GET => '/bkt' ], '200 ',
    [ HEAD => '/bkt' ], '200 ',
    [ GET => '/bkt/none' ], '404 NoSuchKey',
    [ HEAD => '/bkt/none' ], '404 ',
    [ GET => '/bkt/a?versionId=null' ], '200 ',
    [ GET => '/bkt?versions' ], '403 AccessDenied',
    [ GET => '/bkt?uploads' ], '403 AccessDenied',
    [ GET => '/bkt/a?retention' ], '403 AccessDenied',
    [ PUT => '/bkt/a', body => 'x' ], '403 AccessDenied');

policy_is(allow('s3:*', [ 'bkt', 'bkt/*' ], %$me),
    deny('s3:GetObject', 'bkt/dir/*', Sid => 'NotTheseOnes'));
table('all but',
    [ GET => '/bkt/a' ], '200 ',
    [ PUT => '/bkt/new', body => 'x' ], '200 ',
    [ DELETE => '/bkt/new' ], '204 ',
    [ GET => '/bkt/dir/c' ], '403 AccessDenied',
    [ GET => '/bkt?policy' ], '405 MethodNotAllowed',
    [ PUT => '/bkt?policy', body => $text ], '405 MethodNotAllowed',
    [ DELETE => '/bkt?policy' ], '405 MethodNotAllowed',
    [ GET => '/other' ], '403 AccessDenied');
answers($t->get('/bkt/dir/c'), '403 AccessDenied', 'denied to the owner as well');

# --- conditions --------------------------------------------------------------

policy_is(allow('s3:ListBucket', 'bkt', %$me, Condition => {
    StringLike => { 's3:prefix' => [ 'dir/*' ] },
    NumericLessThanEquals => { 's3:max-keys' => 10 } }),
    allow('s3:GetObject', 'bkt/a', %$me,
        Condition => { IpAddress => { 'aws:SourceIp' => '127.0.0.0/8' } }),
    allow('s3:GetObject', 'bkt/b', %$me,
        Condition => { IpAddress => { 'aws:SourceIp' => '10.0.0.0/8' } }),
    allow('s3:GetObject', 'bkt/dir/c', %$me,
        Condition => { StringLike => { 'aws:Referer' => 'http://here/*' } }));
table('conditions',
    [ GET => '/bkt?prefix=dir/&max-keys=5' ], '200 ',
    [ GET => '/bkt?prefix=dir/&max-keys=11' ], '403 AccessDenied',
    [ GET => '/bkt?prefix=dir/' ], '403 AccessDenied',
    [ GET => '/bkt?prefix=di&max-keys=5' ], '403 AccessDenied',
    [ GET => '/bkt?list-type=2&prefix=dir/x&max-keys=10' ], '200 ',
    [ GET => '/bkt/none?prefix=dir/&max-keys=5' ], '403 AccessDenied',
    [ GET => '/bkt/a' ], '200 ',
    [ GET => '/bkt/b' ], '403 AccessDenied',
    [ GET => '/bkt/dir/c' ], '403 AccessDenied',
    [ GET => '/bkt/dir/c', headers => [ [ Referer => 'http://there/x' ] ] ],
    '403 AccessDenied',
    [ GET => '/bkt/dir/c', headers => [ [ Referer => 'http://here/x' ] ] ], '200 ');

policy_is(allow('s3:*', [ 'bkt', 'bkt/*' ], %$me),
    deny('s3:*', 'bkt/signed/*',
        Condition => { StringNotEquals => { 's3:authType' => 'REST-QUERY-STRING' } }),
    deny('s3:*', 'bkt/fresh/*',
        Condition => { NumericGreaterThan => { 's3:signatureAge' => 60000 } }),
    deny('s3:*', 'bkt/tls/*', Condition => { Bool => { 'aws:SecureTransport' => 'false' } }));
table('how it is signed',
    [ PUT => '/bkt/signed/k', body => 'x' ], '403 AccessDenied',
    [ PUT => $t->presign('PUT', '/bkt/signed/k', @as), body => 'x', sign => 0 ], '200 ',
    [ PUT => '/bkt/fresh/k', body => 'x' ], '200 ',
    [ GET => '/bkt/fresh/k', amz_date => Test::S3::amz_date(-30) ], '200 ',
    [ GET => '/bkt/fresh/k', amz_date => Test::S3::amz_date(-90) ], '403 AccessDenied',
    [ PUT => '/bkt/tls/k', body => 'x' ], '403 AccessDenied');

$t->put('/bkt/no', body => 'x', headers => [ [ 'x-amz-tagging', 'secret=no' ] ]);
$t->put('/bkt/harmless', body => 'x', headers => [ [ 'x-amz-tagging', 'a=b' ] ]);
policy_is(allow([ 's3:GetObject', 's3:PutObject', 's3:PutObjectTagging',
    's3:GetObjectTagging', 's3:ListBucket' ], [ 'bkt', 'bkt/*' ], %$me),
    deny([ 's3:GetObject', 's3:PutObjectTagging' ], 'bkt/*',
        Condition => { StringEquals => { 's3:ExistingObjectTag/secret' => 'yes' } }),
    deny([ 's3:PutObject', 's3:PutObjectTagging' ], 'bkt/*',
        Condition => { StringEquals => { 's3:RequestObjectTag/secret' => 'no' } }));
my $tags = '<Tagging><TagSet><Tag><Key>secret</Key><Value>%s</Value></Tag></TagSet></Tagging>';
sub tags {
    my $body = sprintf $tags, $_[0];
    return (body => $body, headers => [ [ 'Content-MD5' => md5_base64($body) . '==' ] ]);
}
sub copy {
    my ($source, @headers) = @_;
    return (headers => [ [ 'x-amz-copy-source', "/bkt/$source" ], @headers ]);
}
my @replace = ([ 'x-amz-tagging', 'a=b' ], [ 'x-amz-tagging-directive', 'REPLACE' ]);
table('tags of a copy are those that it gets',
    [ PUT => '/bkt/c', copy('no') ], '403 AccessDenied',
    [ PUT => '/bkt/c', copy('no', [ 'x-amz-tagging', 'a=b' ]) ], '403 AccessDenied',
    [ PUT => '/bkt/c', copy('no', @replace) ], '200 ',
    [ PUT => '/bkt/c', copy('harmless', [ 'x-amz-tagging', 'secret=no' ]) ], '200 ',
    [ GET => '/bkt/c?tagging' ], '200 ');
like($t->get('/bkt/c?tagging')->{body}, qr{<Key>a</Key><Value>b</Value>}, 'and no other');
table('tags',
    [ PUT => '/bkt/t', body => 'x', headers => [ [ 'x-amz-tagging', 'secret=no' ] ] ],
    '403 AccessDenied',
    [ PUT => '/bkt/t', body => 'x', headers => [ [ 'x-amz-tagging', 'a=b' ] ] ], '200 ',
    [ GET => '/bkt/t' ], '200 ',
    [ PUT => '/bkt/t?tagging', tags('no') ], '403 AccessDenied',
    [ PUT => '/bkt/t?tagging', tags('yes') ], '200 ',
    [ GET => '/bkt/t' ], '403 AccessDenied',
    [ HEAD => '/bkt/t' ], '403 ',
    [ PUT => '/bkt/t?tagging', tags('maybe') ], '403 AccessDenied',
    [ GET => '/bkt/t?tagging' ], '200 ');

# --- what asks for more than one thing ---------------------------------------

policy_is(allow('s3:PutObject', 'bkt/*', %$me));
table('may write only',
    [ PUT => '/bkt/w', body => 'x' ], '200 ',
    [ PUT => '/bkt/w', body => 'x', headers => [ [ 'x-amz-tagging', 'a=b' ] ] ],
    '403 AccessDenied',
    [ PUT => '/bkt/w', body => 'x', headers => [
        [ 'x-amz-acl', 'bucket-owner-full-control' ] ] ], '403 AccessDenied',
    [ PUT => '/bkt/w', body => 'x', headers => [ [ 'If-Match', '"x"' ] ] ],
    '403 AccessDenied',
    [ PUT => '/bkt/w', body => 'x', headers => [ [ 'If-None-Match', '*' ] ] ],
    '412 PreconditionFailed',
    [ PUT => '/bkt/copy', headers => [ [ 'x-amz-copy-source', '/bkt/a' ] ] ],
    '403 AccessDenied',
    [ PUT => '/bkt/copy', headers => [ [ 'x-amz-copy-source', '/bkt/none' ] ] ],
    '403 AccessDenied',
    [ PUT => '/bkt/copy', headers => [ [ 'x-amz-copy-source', '/nowhere/a' ] ] ],
    '404 NoSuchBucket',
    [ GET => '/bkt/w' ], '403 AccessDenied');
policy_is(allow('s3:PutObject', 'bkt/*', %$me), allow('s3:GetObject', 'bkt/a', %$me));
$t->put('/bkt/tagged', body => 'x', headers => [ [ 'x-amz-tagging', 'a=b' ] ]);
table('may copy one',
    [ PUT => '/bkt/copy', copy('a') ], '200 ',
    [ PUT => '/bkt/copy', copy('a', [ 'x-amz-tagging', 'a=b' ]) ], '200 ',
    [ PUT => '/bkt/copy', copy('a', @replace) ], '403 AccessDenied',
    [ PUT => '/bkt/copy', copy('b') ], '403 AccessDenied');
policy_is(allow([ 's3:PutObject', 's3:GetObject' ], 'bkt/*', %$me));
table('tags are copied by who may read them',
    [ PUT => '/bkt/copy', headers => [ [ 'x-amz-copy-source', '/bkt/tagged' ] ] ],
    '403 AccessDenied',
    [ PUT => '/bkt/copy', headers => [ [ 'x-amz-copy-source', '/bkt/tagged' ],
        [ 'x-amz-tagging-directive', 'REPLACE' ] ] ], '200 ');

policy_is(allow('s3:DeleteObject', 'bkt/dir/*', %$me));
my $list = '<Delete><Object><Key>a</Key></Object><Object><Key>dir/c</Key></Object>'
    . '<Object><Key>dir/none</Key></Object><Object><Key>dir/c</Key>'
    . '<VersionId>null</VersionId></Object></Delete>';
$r = $t->post('/bkt?delete', @as, body => $list,
    headers => [ [ 'Content-MD5' => md5_base64($list) . '==' ] ]);
is($r->{status}, 200, 'many are deleted one by one');
is($r->{body}, "$xml<DeleteResult $ns>"
    . '<Error><Key>a</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
    . '<Deleted><Key>dir/c</Key></Deleted><Deleted><Key>dir/none</Key></Deleted>'
    . '<Error><Key>dir/c</Key><VersionId>null</VersionId><Code>AccessDenied</Code>'
    . '<Message>Access Denied</Message></Error></DeleteResult>', 'as allowed');
is($t->get('/bkt/a')->{status}, 200, 'what was denied is there');

# --- the owner's root is never locked out ------------------------------------

policy_is(deny('s3:*', [ 'bkt', 'bkt/*' ]));
answers($t->get('/bkt'), '403 AccessDenied', 'denied to everybody');
answers($t->get('/bkt/a'), '403 AccessDenied', 'objects as well');
answers($t->put('/bkt?versioning'), '403 AccessDenied', 'settings as well');
answers($t->get('/bkt?policy'), '200 ', 'but the policy can be read');
answers($t->delete('/bkt?policy'), '204 ', 'and deleted');
answers($t->get('/bkt/a'), '200 ', 'then all is as before');
answers($t->get('/bkt?policy'), '404 NoSuchBucketPolicy', 'it is gone');
answers($t->get('/bkt/a', @as), '403 AccessDenied', 'and its grants with it');

# --- x-amz-expected-bucket-owner ---------------------------------------------

for ([ 'of another', $stranger->{id}, '403 AccessDenied' ],
    [ 'of another by number', $stranger->{number}, '403 AccessDenied' ],
    [ 'of nobody', '000000000000', '403 AccessDenied' ],
    [ 'of what is no account', '12345678901', '400 InvalidBucketOwnerAWSAccountID' ],
    [ 'without a value', '', '400 InvalidBucketOwnerAWSAccountID' ],
    [ 'of its owner', $t->ctl('account', 'show', 'root')->{id}, '200 ' ],
    [ 'of its owner by number', $t->ctl('account', 'show', 'root')->{number}, '200 ' ])
{
    my @headers = (headers => [ [ 'x-amz-expected-bucket-owner', $_->[1] ] ]);
    answers($t->get('/bkt/a', @headers), $_->[2], "expected $_->[0]");
    answers($t->head('/bkt', @headers), $_->[2] =~ s/ .*/ /r, "expected $_->[0]");
}

# --- it survives -------------------------------------------------------------

policy_is(allow('s3:GetObject', 'bkt/a', %$me));
is($t->stop('s3d'), 0, 's3d stops');
$t->start_s3d();
answers($t->get('/bkt/a', @as), '200 ', 'after a start as before');
answers($t->get('/bkt/b', @as), '403 AccessDenied', 'and not more');

$t->done();
